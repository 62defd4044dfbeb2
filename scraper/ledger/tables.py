"""The ledger's tables, the same in SQLite and PostgreSQL; `scraper.ledger` alone reads and writes.

Times are text, `2026-01-31T12:00:00.000+00:00`: they sort as they are and can be read by eye.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

TIME = String(32)
HASH = String(64)

metadata = MetaData()

concepts = Table(
    "concepts",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # What was searched for, as JSON; when an entry's search terms change, it is searched again.
    Column("vocabulary", Text, nullable=False),
)

searches = Table(
    "searches",
    metadata,
    Column("slug", Text, ForeignKey("concepts.slug"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("vocabulary", Text, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("found", Integer, nullable=False),
    Column("finished_at", TIME, nullable=False),
    Column("error", Text, nullable=False),
)

# A picture's address: what is fetched, at most once at a time and once for all finds that name it.
links = Table(
    "links",
    metadata,
    # sha256 of the URL, because PostgreSQL cannot index long ones
    Column("key", HASH, primary_key=True),
    Column("url", Text, nullable=False),
    Column("state", String(16), nullable=False),  # a value of `records.Outcome`
    Column("reason", Text, nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("attempted_at", TIME),
    Column("final_key", HASH, index=True),  # key of the URL after redirects
    Column("picture", HASH, ForeignKey("pictures.sha256"), index=True),
    Column("run", String(32), index=True),  # who is fetching it now
    Column("claimed_at", TIME),
    Column("etag", Text, nullable=False, default=""),
    Column("last_modified", Text, nullable=False, default=""),
    Column("health", String(16), nullable=False, default=""),  # a value of `records.Health`
    Column("checked_at", TIME),
)

finds = Table(
    "finds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", Text, ForeignKey("concepts.slug"), nullable=False),
    Column("source", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("link", HASH, ForeignKey("links.key"), nullable=False, index=True),
    Column("page", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("rights", Text, nullable=False),
    Column("rights_url", Text, nullable=False),
    Column("license", Text, nullable=False),
    Column("license_url", Text, nullable=False),
    Column("permits", String(16), nullable=False),
    Column("query", Text, nullable=False),
    Column("skos_concept", Text, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("found_at", TIME, nullable=False),
    UniqueConstraint("slug", "source", "source_id"),
)

# One row per picture that is, or was, in the folder. Two with the same look cannot both get in.
pictures = Table(
    "pictures",
    metadata,
    Column("sha256", HASH, primary_key=True),
    Column("perceptual_hash", String(16), nullable=False, unique=True),
    Column("file_name", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("link", HASH, nullable=False),  # where it came from
    Column("find", Integer, ForeignKey("finds.id"), nullable=False),  # who is credited
    Column("size", Integer, nullable=False),  # bytes
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("retrieved_at", TIME, nullable=False),
    Column("withdrawn_at", TIME),
)

host_events = Table(
    "host_events",
    metadata,
    Column("host", Text, primary_key=True),
    Column("event", String(32), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("last_at", TIME, nullable=False),
)

Index("links_by_state", links.c.state)
Index("finds_by_class_and_source", finds.c.slug, finds.c.source)
