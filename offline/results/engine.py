"""Opens the store's database: SQLite or PostgreSQL, at the schema version this code knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import sqlalchemy as sa

from offline.errors import RuntimeMissingError, StoreError
from offline.results import summaries
from offline.results.schema import SCHEMA_VERSION

BUSY_TIMEOUT_MS: Final = 30_000
"""How long a writer waits for another one's transaction."""


def default_url(results_dir: str | Path) -> sa.URL:
    """Return the URL of the SQLite store that lies with its results."""
    # No text to be parsed: a folder's name may hold a `?` or a `%`.
    return sa.URL.create("sqlite", database=str(Path(results_dir).absolute() / "gradewise.sqlite"))


def connect(url: str | sa.URL, *, read_only: bool, create: bool = True) -> sa.Engine:
    """Open a database by its SQLAlchemy URL and bring its schema up to date.

    Parameters
    ----------
    create : bool
        Whether to make the store where there is none; a reader never does.

    Raises
    ------
    StoreError
        If it cannot be opened, is absent and not to be made, or has another schema version
        that this code cannot bring up to date.
    """
    create = create and not read_only
    try:
        address = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise StoreError(
            f"{url!r} is no store URL: use sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        ) from None
    kind = address.get_backend_name()
    if kind == "sqlite":
        engine = _sqlite(address, read_only=read_only, create=create)
    elif kind == "postgresql":
        engine = _postgresql(address, read_only=read_only)
    else:
        raise StoreError(f"{url!r}: a store is kept in SQLite or PostgreSQL, not {kind}")
    try:
        _bring_up_to_date(engine, read_only=read_only, create=create)
    except sa.exc.DBAPIError as problem:
        engine.dispose()
        raise StoreError(f"cannot open the store {shown(engine)}: {problem.orig}") from None
    except BaseException:
        engine.dispose()
        raise
    return engine


def shown(engine: sa.Engine) -> str:
    """Name the database for people: a file's path, or a URL without its password."""
    if engine.dialect.name == "sqlite":
        return unquote(str(engine.url.database).removeprefix("file:"))
    return engine.url.render_as_string(hide_password=True)


def _sqlite(address: sa.URL, *, read_only: bool, create: bool) -> sa.Engine:
    if not address.database or address.database == ":memory:":
        raise StoreError("a store in memory is gone when the program ends: name a file")
    path = Path(address.database).absolute()
    if not create and not path.is_file():
        raise StoreError(f"there is no store at {path}: run `gradewise-offline score` first")
    if create:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise StoreError(f"cannot make the store's folder {path.parent}: {problem}") from None
    engine = sa.create_engine(
        sa.URL.create(
            "sqlite",
            # A folder's name may hold what means something in a URI: `?`, `#`, `%`.
            database=f"file:{quote(str(path))}",
            query={"mode": "ro" if read_only else "rwc" if create else "rw", "uri": "true"},
        ),
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # The driver must not open transactions of its own: see `begin`.
        connection.isolation_level = None
        cursor = connection.cursor()
        if not read_only:
            cursor.execute("PRAGMA journal_mode = WAL")
            # What was acknowledged outlives a power cut.
            cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        # 64 MB: a month of a large fleet's summary rows stays in memory.
        cursor.execute("PRAGMA cache_size = -65536")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A deferred transaction that turns into a writing one may fail at once with "database
        # is locked"; one that says so at its start waits its turn.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _postgresql(address: sa.URL, *, read_only: bool) -> sa.Engine:
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    options = "-c timezone=UTC -c lock_timeout=30s"
    if read_only:
        options += " -c default_transaction_read_only=on"
    try:
        return sa.create_engine(address, pool_pre_ping=True, connect_args={"options": options})
    except ImportError:
        raise RuntimeMissingError(
            "PostgreSQL needs psycopg: pip install 'gradewise[postgresql]'"
        ) from None


def _bring_up_to_date(engine: sa.Engine, *, read_only: bool, create: bool) -> None:
    found = _schema_version(engine)
    if found == SCHEMA_VERSION:
        return
    if found is not None and (not re.fullmatch(r"\d{4}", found) or found > SCHEMA_VERSION):
        raise StoreError(
            f"the store {shown(engine)} has schema {found}, this program knows {SCHEMA_VERSION}: "
            "install the Gradewise that wrote it, or a newer one"
        )
    if read_only or (found is None and not create):
        what = f"has schema {found}" if found else "holds no results"
        raise StoreError(
            f"the store {shown(engine)} {what}: run `gradewise-offline score` with it once, "
            "which brings it up to date"
        )
    _migrate(engine, rebuild=found is not None)


def _schema_version(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        value = rows.scalar()
        return None if value is None else str(value)


def _migrate(engine: sa.Engine, *, rebuild: bool) -> None:
    # Alembic takes a third of a second to import: only where there is something to do.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if rebuild:
            # Summaries are computed, so a migration may drop what it cannot convert.
            summaries.rebuild(connection)
