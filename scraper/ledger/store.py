"""What was looked for, found, fetched, kept and withdrawn; everything resumes from here.

One SQLite file in the dataset folder (WAL mode, several processes may use it at once), or a
PostgreSQL database by its URL. Only this module speaks SQL. Each method is one transaction, so a
process that is killed loses what it had in flight and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    not_,
    or_,
    select,
    update,
)

from ideitify.licenses import License
from ideitify.perceptual_hash import hamming_distance
from scraper.ledger.database import Database, LedgerError, chunks, in_chunks
from scraper.ledger.records import (
    ALL,
    Arrived,
    Attempt,
    Health,
    Item,
    Outcome,
    Selection,
    Settled,
    Stored,
    as_text,
    bare_url,
    clean,
    file_name_of,
    host_name,
    key_of,
    now,
    plain_address,
    plain_name,
)
from scraper.ledger.tables import (
    concepts,
    finds,
    host_events,
    links,
    metadata,
    pictures,
    searches,
)
from scraper.source import Found

LEDGER_NAME = "ledger.sqlite"
CLAIM_EXPIRES = timedelta(minutes=30)  # of a machine that vanished; no download takes so long
COPY_BITS = 4  # most in which copies of 120 pictures differed; no two of 3,465 others were so near
LONGEST_ID = 500  # characters; longer ones could not be indexed


class Ledger:
    """The record of a collection; use it as a context manager."""

    def __init__(self, place: Path | str) -> None:
        """Open a ledger, or begin one.

        Args:
            place: a SQLite file, or a database URL such as postgresql+psycopg://host/name.

        Raises:
            LedgerError: it cannot be opened or is no ledger.
        """
        self._database = Database(place)
        with self._database.write() as connection:
            metadata.create_all(connection)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database; the ledger is not used afterwards."""
        self._database.close()

    # Finding

    def add_concept(self, slug: str, name: str, vocabulary: str) -> None:
        """Remember a class and what is searched for it (any text that changes with it)."""
        values = {"slug": slug, "name": name, "vocabulary": vocabulary}
        with self._database.write() as connection:
            insert = self._database.insert(concepts).values(values)
            connection.execute(insert.on_conflict_do_update(index_elements=["slug"], set_=values))

    def is_searched(self, slug: str, source: str, vocabulary: str, limit: int) -> bool:
        """Whether a source already gave `limit` pictures of a class, or all that it has."""
        enough = or_(searches.c.wanted >= limit, searches.c.found < searches.c.wanted)
        query = select(searches.c.slug).where(
            searches.c.slug == slug,
            searches.c.source == source,
            searches.c.vocabulary == vocabulary,
            searches.c.error == "",
            enough,
        )
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def record_search(
        self, slug: str, source: str, vocabulary: str, wanted: int, found: int, error: str = ""
    ) -> None:
        """Remember how a search ended."""
        values = {
            "slug": slug, "source": source, "vocabulary": vocabulary, "wanted": wanted,
            "found": found, "finished_at": now(), "error": clean(error),
        }  # fmt: skip
        with self._database.write() as connection:
            insert = self._database.insert(searches).values(values)
            connection.execute(
                insert.on_conflict_do_update(index_elements=["slug", "source"], set_=values)
            )

    def record_finds(self, slug: str, found: Sequence[tuple[Found, License]]) -> None:
        """Remember finds of a class; what was found before gets the newer credits and licence."""
        rows = [_find_row(slug, find, license_) for find, license_ in found]
        if not rows:
            return
        insert = self._database.insert(finds)
        identity = ["slug", "source", "source_id"]
        newer = {
            name: insert.excluded[name] for name in rows[0] if name not in {*identity, "found_at"}
        }
        with self._database.write() as connection:
            self._add_links_of(connection, [find for find, _ in found])
            connection.execute(
                insert.on_conflict_do_update(index_elements=identity, set_=newer), rows
            )

    def _add_links_of(self, connection: Connection, found: Sequence[Found]) -> None:
        """Remember addresses of finds; who withdrew a page withdrew all that is shown there."""
        urls = select(links.c.url).where(links.c.state == Outcome.WITHDRAWN)  # they are few
        withdrawn = set(map(plain_address, connection.execute(urls).scalars()))
        away = {
            find.url
            for find in found
            if not withdrawn.isdisjoint(map(plain_address, (find.url, bare_url(find.page))))
        }
        self._add_links(connection, away, Outcome.WITHDRAWN)
        self._add_links(connection, {find.url for find in found} - away)

    def _add_links(
        self, connection: Connection, urls: Iterable[str], state: Outcome = Outcome.WAITING
    ) -> None:
        """Remember addresses, unless they are known."""
        rows = [{"key": key_of(url), "url": bare_url(url), "state": state} for url in sorted(urls)]
        if rows:
            connection.execute(self._database.insert(links).on_conflict_do_nothing(), rows)

    # Downloading

    def plan(
        self,
        selection: Selection,
        permits: Collection[str],
        limit: int,
        since: str,
        again: bool = False,
    ) -> list[Item]:
        """What to download next, each address once, in the order of finding.

        For every class and source as many as are missing to `limit` stored pictures. What was
        tried after `since`, or is in flight elsewhere, is left out, so that plans made one after
        the other come to an end.

        Args:
            permits: values of `License.permits` that are wanted.
            limit: pictures per class and source.
            since: a time as `now` gives it.
            again: also what was refused for good.
        """
        states = [Outcome.WAITING, Outcome.FAILED, *([Outcome.REFUSED] if again else [])]
        claimed = not_(_unclaimed()).label("claimed")
        query = (
            select(finds.c.id, finds.c.slug, finds.c.source, links.c.key, links.c.url, claimed)
            .join(links, finds.c.link == links.c.key)
            .where(
                links.c.state.in_(states),
                finds.c.permits.in_(permits),
                or_(links.c.attempted_at.is_(None), links.c.attempted_at < since),
                *_selected(selection),
            )
            .order_by(claimed.desc(), finds.c.id)
        )
        with self._database.read() as connection:
            have = self._stored(connection, selection)
            rows = connection.execute(query).all()
        items: dict[str, Item | None] = {}
        for find, slug, source, key, url, is_claimed in rows:  # claimed ones count, and come first
            if key not in items and have[slug, source] < limit:
                have[slug, source] += 1
                items[key] = None if is_claimed else Item(key, url, find, slug, source)
        return [item for item in items.values() if item]

    def _stored(self, connection: Connection, selection: Selection) -> Counter[tuple[str, str]]:
        """Pictures that we have per class and source."""
        query = (
            select(finds.c.slug, finds.c.source, func.count())
            .join(pictures, pictures.c.find == finds.c.id)
            .where(pictures.c.withdrawn_at.is_(None), *_selected(selection))
            .group_by(finds.c.slug, finds.c.source)
        )
        return Counter({(slug, source): n for slug, source, n in connection.execute(query)})

    def claim(self, items: Sequence[Item], run: str) -> list[Item]:
        """Take items for a run; those that another run has, or has done, are not given."""
        done = [Outcome.STORED, Outcome.DUPLICATE, Outcome.WITHDRAWN]
        taken: set[str] = set()
        with self._database.write() as connection:
            for chunk in chunks(items):
                free = (
                    select(links.c.key)
                    .where(
                        links.c.key.in_([item.key for item in chunk]),
                        links.c.state.not_in(done),
                        _unclaimed(),
                    )
                    .with_for_update(skip_locked=True)  # where another run claims the same now
                )
                claim = (
                    update(links)
                    .where(links.c.key.in_(free))
                    .values(run=run, claimed_at=now())
                    .returning(links.c.key)
                )
                taken.update(connection.execute(claim).scalars())
        return [item for item in items if item.key in taken]

    def release(self, run: str) -> None:
        """Give back what a run claimed and did not settle."""
        with self._database.write() as connection:
            connection.execute(
                update(links).where(links.c.run == run).values(run=None, claimed_at=None)
            )

    def settle(self, tried: Sequence[Attempt]) -> list[Settled]:
        """Decide what becomes of attempts, and remember it.

        A picture is stored if neither it nor one of the same look is there, nor one of nearly the
        same look was withdrawn. Its file is moved to its place afterwards: see `files.run_in`.
        """
        if not tried:
            return []
        with self._database.write() as connection:
            tried = self._with_withdrawn_looks(connection, tried)
            withdrawn = self._withdrawn_links(connection, tried)
            self._insert_new_pictures(connection, tried, withdrawn)
            known = self._pictures_like(connection, tried)
            settled = [_settled(attempt, known, withdrawn) for attempt in tried]
            self._update_links(connection, settled, known)
        return settled

    def _with_withdrawn_looks(
        self, connection: Connection, tried: Sequence[Attempt]
    ) -> list[Attempt]:
        """Give what looks nearly like a withdrawn picture that one's hash, so that it counts as it.

        Withdrawn ones are few, and found by the index on links: they are read afresh each time,
        for another process may withdraw one meanwhile.
        """
        query = (
            select(pictures.c.perceptual_hash)
            .join(links, links.c.picture == pictures.c.sha256)
            .where(links.c.state == Outcome.WITHDRAWN, pictures.c.withdrawn_at.is_not(None))
            .distinct()
        )
        looks = list(connection.execute(query).scalars())
        return [_with_withdrawn_look(attempt, looks) for attempt in tried]

    def _withdrawn_links(self, connection: Connection, tried: Sequence[Attempt]) -> set[str]:
        keys = {attempt.item.key for attempt in tried}
        keys |= {key_of(attempt.arrived.url) for attempt in tried if attempt.arrived}
        query = select(links.c.key).where(links.c.state == Outcome.WITHDRAWN)
        return set(in_chunks(connection, query, links.c.key, keys))

    def _insert_new_pictures(
        self, connection: Connection, tried: Sequence[Attempt], withdrawn: set[str]
    ) -> None:
        rows = [
            _picture_row(attempt.item, attempt.arrived, attempt.started_at)
            for attempt in tried
            if attempt.arrived and not _is_withdrawn(attempt, withdrawn)
        ]
        rows.sort(key=itemgetter("perceptual_hash", "sha256"))  # one order, or two could deadlock
        if rows:  # the database decides, so that two processes cannot both win
            connection.execute(self._database.insert(pictures).on_conflict_do_nothing(), rows)

    def _pictures_like(self, connection: Connection, tried: Sequence[Attempt]) -> dict[str, _Known]:
        """Known pictures by sha256 and by perceptual hash."""
        here = [attempt.arrived for attempt in tried if attempt.arrived]
        columns = pictures.c.sha256, pictures.c.perceptual_hash, pictures.c.link
        query = select(*columns, pictures.c.file_name, pictures.c.withdrawn_at)
        known = {}
        for column in (pictures.c.perceptual_hash, pictures.c.sha256):
            for chunk in chunks([getattr(arrived, column.name) for arrived in here]):
                for row in connection.execute(query.where(column.in_(chunk))):
                    found = _Known(
                        row.sha256, row.link, row.file_name, row.withdrawn_at is not None
                    )
                    known[getattr(row, column.name)] = found
        return known

    def _update_links(
        self, connection: Connection, settled: Sequence[Settled], known: dict[str, _Known]
    ) -> None:
        """Tell the links how their last attempts ended."""
        ended = [_link_row(one, known) for one in settled]
        names = [name for name in ended[0] if name != "its_key"]
        statement = update(links).where(links.c.key == bindparam("its_key"))
        connection.execute(statement.values({name: bindparam(name) for name in names}), ended)

    # Afterwards

    def file_name(self, sha256: str) -> str | None:
        """Where a picture belongs, or None if it is unknown or was withdrawn."""
        query = select(pictures.c.file_name).where(
            pictures.c.sha256 == sha256, pictures.c.withdrawn_at.is_(None)
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    def move(self, sha256: str, file_name: str) -> None:
        """Learn where a person has put the file of a picture."""
        statement = update(pictures).where(pictures.c.sha256 == sha256)
        with self._database.write() as connection:
            connection.execute(statement.values(file_name=file_name))

    def stored(self) -> list[Stored]:
        """The pictures that we have, by class and time."""
        query = self._stored_query(ALL).order_by(
            pictures.c.category, pictures.c.retrieved_at, pictures.c.sha256
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            others = self._other_classes(connection)
        return [_stored(row, others.get(row.sha256, ())) for row in rows]

    def due(self, selection: Selection, before: datetime, limit: int) -> list[Stored]:
        """Pictures whose address was last asked before a time, the longest ago first."""
        asked = func.coalesce(links.c.checked_at, pictures.c.retrieved_at)
        query = self._stored_query(selection).where(asked < as_text(before)).order_by(asked)
        with self._database.read() as connection:
            return [_stored(row) for row in connection.execute(query.limit(limit))]

    def _stored_query(self, selection: Selection) -> Select[Any]:
        return (
            select(pictures, finds, links.c.url, links.c.etag, links.c.last_modified)
            .join(finds, pictures.c.find == finds.c.id)
            .join(links, pictures.c.link == links.c.key)
            .where(pictures.c.withdrawn_at.is_(None), *_selected(selection))
        )

    def _other_classes(self, connection: Connection) -> dict[str, tuple[str, ...]]:
        """Per picture the classes, other than its own, for which it was found at any address."""
        query = (
            select(pictures.c.sha256, finds.c.slug)
            .join(links, links.c.picture == pictures.c.sha256)
            .join(finds, finds.c.link == links.c.key)
            .where(finds.c.slug != pictures.c.category)
            .distinct()
            .order_by(finds.c.slug)
        )
        others: dict[str, tuple[str, ...]] = {}
        for sha256, slug in connection.execute(query):
            others[sha256] = (*others.get(sha256, ()), slug)
        return others

    def record_check(self, url: str, health: Health) -> None:
        """Remember what an address answered today."""
        with self._database.write() as connection:
            connection.execute(
                update(links)
                .where(links.c.key == key_of(url))
                .values(health=health, checked_at=now())
            )

    def withdraw(self, which: str) -> list[str]:
        """Mark what an id or address names as withdrawn for good.

        Args:
            which: the address of a picture or of its page, `source:id`, an id that only one
                source has, or the name or sha256 of a file. An address that was never seen is
                remembered all the same.

        Returns:
            The files to remove, also those that were withdrawn before.

        Raises:
            LedgerError: nothing has this id, or several different ones do.
        """
        is_address = which.startswith(("http://", "https://"))
        with self._database.write() as connection:
            found = _by_address(connection, which) if is_address else _by_id(connection, which)
            if is_address:
                self._add_links(connection, [which], Outcome.WITHDRAWN)
                found.add(key_of(which))
            return _withdraw(connection, found)

    def is_known(self, url: str) -> bool:
        """Whether a picture was found at an address, or on the page of it."""
        query = select(finds.c.id)
        with self._database.read() as connection:
            keys = _by_address(connection, url)
            return next(in_chunks(connection, query, finds.c.link, keys), None) is not None

    def addresses_like(self, url: str) -> list[str]:
        """Pages and pictures of the same site whose addresses end as this one does."""
        place = host_name(url), _last_part(url)
        with self._database.read() as connection:
            known = {one for found in _at_site(connection, url) for one in found[1:]}
        return sorted(one for one in known if (host_name(one), _last_part(one)) == place)

    def withdrawn_urls(self) -> set[str]:
        """Addresses that are never fetched again."""
        query = select(links.c.url).where(links.c.state == Outcome.WITHDRAWN)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def withdrawn_files(self) -> list[str]:
        """Files that must not be there."""
        query = select(pictures.c.file_name).where(pictures.c.withdrawn_at.is_not(None))
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    # Counting

    def counts(self, selection: Selection = ALL) -> list[tuple[str, str, str, str, int]]:
        """(class, source, licence, outcome, finds), sorted."""
        outcome = _outcome_of_find()
        query = (
            select(finds.c.slug, finds.c.source, finds.c.license, outcome, func.count())
            .join(links, finds.c.link == links.c.key)
            .outerjoin(pictures, links.c.picture == pictures.c.sha256)
            .where(*_selected(selection))
            .group_by(finds.c.slug, finds.c.source, finds.c.license, outcome)
            .order_by(finds.c.slug, finds.c.source, finds.c.license)
        )
        with self._database.read() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def health(self, selection: Selection = ALL) -> dict[tuple[str, str, str], int]:
        """Pictures per (class, source, what `check` found)."""
        query = (
            select(finds.c.slug, finds.c.source, links.c.health, func.count())
            .join(pictures, pictures.c.find == finds.c.id)
            .join(links, pictures.c.link == links.c.key)
            .where(links.c.health != "", pictures.c.withdrawn_at.is_(None), *_selected(selection))
            .group_by(finds.c.slug, finds.c.source, links.c.health)
        )
        with self._database.read() as connection:
            return {
                (slug, source, state): n for slug, source, state, n in connection.execute(query)
            }

    def failures(
        self, selection: Selection = ALL, since: str = ""
    ) -> list[tuple[str, str, int, str]]:
        """(outcome, reason, links, one of the sentences) of what did not arrive since a time."""
        missed = [Outcome.FAILED, Outcome.REFUSED]
        chosen = select(finds.c.link).where(*_selected(selection))
        count = func.count()
        query = (
            select(links.c.state, links.c.reason, count, func.min(links.c.detail))
            .where(links.c.state.in_(missed), links.c.attempted_at >= since)
            .where(links.c.key.in_(chosen))
            .group_by(links.c.state, links.c.reason)
            .order_by(count.desc(), links.c.reason)
        )
        with self._database.read() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def failed_searches(
        self, selection: Selection = ALL, since: str = ""
    ) -> list[tuple[str, str, str]]:
        """(class, source, why) of searches whose last end, after a time, was an error."""
        query = (
            select(searches.c.slug, searches.c.source, searches.c.error)
            .where(searches.c.error != "", searches.c.finished_at >= since)
            .order_by(searches.c.source, searches.c.slug)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            (slug, source, error)
            for slug, source, error in rows
            if slug in (selection.classes or {slug})
            and plain_name(source) in (selection.sources or {plain_name(source)})
        ]

    def record_host_events(self, events: Iterable[tuple[str, str, int, str]]) -> None:
        """Add (host, event, times, detail) to what politeness did so far."""
        with self._database.write() as connection:
            for host, name, times, detail in sorted(events):
                values = {"detail": clean(detail), "last_at": now()}
                insert = self._database.insert(host_events).values(
                    host=clean(host), event=name, count=times, **values
                )
                more = {"count": host_events.c.count + times, **values}
                connection.execute(
                    insert.on_conflict_do_update(index_elements=["host", "event"], set_=more)
                )

    def host_events(self) -> list[tuple[str, str, int, str, str]]:
        """(host, event, times, last detail, last time) of what politeness did."""
        query = select(host_events).order_by(host_events.c.host, host_events.c.event)
        with self._database.read() as connection:
            return [tuple(row) for row in connection.execute(query)]


@dataclass(frozen=True)
class _Known:
    """A picture in the ledger."""

    sha256: str
    link: str
    file_name: str
    withdrawn: bool


def _selected(selection: Selection) -> list[ColumnElement[bool]]:
    chosen = [(finds.c.slug, selection.classes), (finds.c.source, selection.sources)]
    return [column.in_(values) for column, values in chosen if values]


def _unclaimed() -> ColumnElement[bool]:
    long_ago = as_text(datetime.now(UTC) - CLAIM_EXPIRES)
    return or_(links.c.run.is_(None), links.c.claimed_at < long_ago)


def _outcome_of_find() -> ColumnElement[str]:
    """Of several finds of one stored picture, only the one that is credited counts as stored."""
    other = and_(links.c.state == Outcome.STORED, pictures.c.find != finds.c.id)
    return case((other, literal(Outcome.DUPLICATE.value)), else_=links.c.state).label("outcome")


def _find_row(slug: str, found: Found, license_: License) -> dict[str, Any]:
    return {
        "slug": slug,
        "source": found.source,
        "source_id": clean(found.id) if len(found.id) <= LONGEST_ID else key_of(found.id),
        "link": key_of(found.url),
        "page": clean(found.page),
        "title": clean(found.title),
        "creator": clean(found.creator),
        "rights": clean(found.rights),
        "rights_url": clean(found.rights_url),
        "license": license_.id,
        "license_url": clean(license_.url),
        "permits": license_.permits,
        "query": clean(found.query),
        "skos_concept": clean(found.skos_concept),
        "width": found.width,
        "height": found.height,
        "found_at": now(),
    }


def _picture_row(item: Item, arrived: Arrived, started_at: str) -> dict[str, Any]:
    return {
        "sha256": arrived.sha256,
        "perceptual_hash": arrived.perceptual_hash,
        "file_name": file_name_of(item.category, arrived.sha256, arrived.suffix),
        "category": item.category,
        "link": item.key,
        "find": item.find,
        "size": arrived.size,
        "width": arrived.width,
        "height": arrived.height,
        "retrieved_at": started_at,
    }


def _is_withdrawn(attempt: Attempt, withdrawn: set[str]) -> bool:
    """Whether the address, or the one that it leads to, was withdrawn (perhaps meanwhile)."""
    keys = {attempt.item.key}
    if attempt.arrived:
        keys.add(key_of(attempt.arrived.url))
    return not keys.isdisjoint(withdrawn)


def _with_withdrawn_look(attempt: Attempt, looks: Iterable[str]) -> Attempt:
    arrived = attempt.arrived
    if arrived is None:
        return attempt
    for look in looks:
        if hamming_distance(look, arrived.perceptual_hash) <= COPY_BITS:
            return replace(attempt, arrived=replace(arrived, perceptual_hash=look))
    return attempt


def _settled(attempt: Attempt, known: dict[str, _Known], withdrawn: set[str]) -> Settled:
    if _is_withdrawn(attempt, withdrawn):
        return Settled(attempt, Outcome.WITHDRAWN)
    if attempt.arrived is None:
        return Settled(attempt, Outcome.FAILED if attempt.retry else Outcome.REFUSED)
    picture = _picture_of(attempt.arrived, known)
    if picture.withdrawn:
        return Settled(attempt, Outcome.WITHDRAWN)
    if picture.link == attempt.item.key:
        return Settled(attempt, Outcome.STORED, picture.file_name)
    return Settled(attempt, Outcome.DUPLICATE)


def _picture_of(arrived: Arrived, known: dict[str, _Known]) -> _Known:
    return known.get(arrived.sha256) or known[arrived.perceptual_hash]


def _link_row(settled: Settled, known: dict[str, _Known]) -> dict[str, Any]:
    """The columns of a link that an attempt changes."""
    attempt, arrived = settled.attempt, settled.attempt.arrived
    had = arrived and known.get(arrived.sha256, known.get(arrived.perceptual_hash))
    return {
        "its_key": attempt.item.key,
        "state": settled.outcome,
        "reason": attempt.reason,
        "detail": clean(attempt.detail),
        "attempted_at": attempt.started_at,
        "final_key": key_of(arrived.url) if arrived else None,
        "picture": had.sha256 if had else None,
        "run": None,
        "claimed_at": None,
        "etag": clean(arrived.etag) if arrived else "",
        "last_modified": clean(arrived.last_modified) if arrived else "",
    }


def _stored(row: Any, also_found_for: tuple[str, ...] = ()) -> Stored:
    found = Found(
        row.source, row.source_id, row.url, row.page, row.title, row.creator, row.rights,
        row.rights_url, row.query, row.skos_concept,
    )  # fmt: skip
    return Stored(
        row.sha256, row.file_name, row.category, row.url, found,
        License(row.license, row.license_url, row.permits), row.perceptual_hash, row.width,
        row.height, row.retrieved_at, row.etag, row.last_modified, also_found_for,
    )  # fmt: skip


def _by_address(connection: Connection, url: str) -> set[str]:
    """Keys of links that have this address, lead to it, or are shown on the page of it."""
    key, plain = key_of(url), plain_address(url)
    direct = select(links.c.key).where(or_(links.c.key == key, links.c.final_key == key))
    named = {
        link
        for link, *addresses in _at_site(connection, url)
        if plain in map(plain_address, addresses)
    }
    return named | set(connection.execute(direct).scalars())


def _at_site(connection: Connection, url: str) -> Iterator[Any]:
    """(key of its link, address, page) of finds whose address or page may be at a URL's host."""
    host = host_name(url)
    here = [column.icontains(host, autoescape=True) for column in (links.c.url, finds.c.page)]
    query = select(finds.c.link, links.c.url, finds.c.page).join(links, finds.c.link == links.c.key)
    yield from connection.execute(query.where(or_(*here)))


def _last_part(url: str) -> str:
    """`https://example.org/object/17/?view=2` -> "17"."""
    return PurePosixPath(plain_address(url).partition("?")[0]).name.casefold()


def _by_id(connection: Connection, which: str) -> set[str]:
    """Keys of the links of one source's id, or of one file."""
    source, _, rest = which.partition(":")
    named = or_(
        finds.c.source_id == which, and_(finds.c.source == source, finds.c.source_id == rest)
    )
    query = select(finds.c.source, finds.c.source_id, finds.c.link).where(named)
    matches: dict[str, set[str]] = {}
    for source, source_id, link in connection.execute(query):
        matches.setdefault(f"{source}:{source_id}", set()).add(link)
    digest = PurePosixPath(which).stem.lower()
    if len(digest) >= 16 and set(digest) <= set("0123456789abcdef"):
        files = select(pictures.c.sha256, pictures.c.link)
        for sha256, link in connection.execute(files.where(pictures.c.sha256.startswith(digest))):
            matches.setdefault(sha256, set()).add(link)
    if not matches:
        raise LedgerError(
            f"no picture has the id {which!r}; give its address instead, which is remembered "
            "even if it was never found"
        )
    if len(matches) > 1:
        raise LedgerError(f"{which!r} is several pictures: say which of {', '.join(matches)}")
    return next(iter(matches.values()))


def _withdraw(connection: Connection, keys: set[str]) -> list[str]:
    """Withdraw links, the pictures behind them, and every other link to those pictures."""
    of_links = select(links.c.picture).where(links.c.picture.is_not(None))
    shown = set(in_chunks(connection, of_links, links.c.key, keys))
    same = set(in_chunks(connection, select(links.c.key), links.c.picture, shown))
    for chunk in chunks(sorted(keys | same)):
        connection.execute(
            update(links).where(links.c.key.in_(chunk)).values(state=Outcome.WITHDRAWN)
        )
    files: list[str] = []
    for chunk in chunks(sorted(shown)):
        marked = (
            update(pictures)
            .where(pictures.c.sha256.in_(chunk))
            .values(withdrawn_at=func.coalesce(pictures.c.withdrawn_at, now()))
            .returning(pictures.c.file_name)
        )
        files += connection.execute(marked).scalars()
    return sorted(files)
