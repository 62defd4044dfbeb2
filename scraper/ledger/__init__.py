"""What was found, tried and stored: the one place that is asked and written to."""

from scraper.ledger.store import LEDGER_NAME, Ledger

__all__ = ["LEDGER_NAME", "Ledger"]
