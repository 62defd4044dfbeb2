"""The one way to the web: politely, safely, and with bounded memory."""

from scraper.web.client import Arrival, HostEvent, HostLimits, PoliteWeb, Refused

__all__ = ["Arrival", "HostEvent", "HostLimits", "PoliteWeb", "Refused"]
