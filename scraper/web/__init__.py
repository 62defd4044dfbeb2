"""The one way to the web: politely, safely, and with bounded memory."""

from scraper.web.arrival import Arrival
from scraper.web.client import PoliteWeb
from scraper.web.hosts import HostEvent
from scraper.web.refusal import Refused

__all__ = ["Arrival", "HostEvent", "PoliteWeb", "Refused"]
