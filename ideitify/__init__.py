"""Ideitify recognises deities in photos.

from ideitify import Recognizer

answer = Recognizer.load().recognize("photo.jpg")
"""

from ideitify.bundle import BundleError
from ideitify.knowledge import Entry, KnowledgeError, find_entry, knowledge, search_entries
from ideitify.photo import PhotoError, open_photo
from ideitify.recognizer import Answer, Candidate, Recognizer, Verdict

__all__ = [
    "Answer",
    "BundleError",
    "Candidate",
    "Entry",
    "KnowledgeError",
    "PhotoError",
    "Recognizer",
    "Verdict",
    "find_entry",
    "knowledge",
    "open_photo",
    "search_entries",
]
__version__ = "0.1.0"
