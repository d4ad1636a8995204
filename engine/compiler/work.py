"""What the passes of one compilation share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from engine.diagnostics import Diagnostic
from engine.documents import KINDS, Document, Path, diagnose, place
from engine.graph import Digester, Graph, Key, Limit, Provider, Route, Settings, Target
from engine.schema import (
    BudgetDoc,
    Declaration,
    InvariantDoc,
    KeyDoc,
    LimitDoc,
    PolicyDoc,
    ProviderDoc,
    RouteDoc,
    SettingsDoc,
    TestDoc,
)

if TYPE_CHECKING:
    from .blueprint import Draft
    from .cache import CompilerCache
    from .layers import PolicyBook

Owner = tuple[str, str]
"""A document's kind and name."""

D = TypeVar("D", bound=Declaration)


@dataclass(frozen=True, slots=True)
class Finding:
    """A diagnostic before it has a position: it names a place in a document, so it stays true when lines move."""

    code: str
    owner: Owner
    path: Path
    summary: str
    label: str = ""
    detail: str = ""
    hint: str = ""
    key: bool = False
    related: tuple[tuple[Owner, Path, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Declared(Generic[D]):
    """A valid document and what it declares."""

    document: Document
    model: D


@dataclass(slots=True)
class Declarations:
    """Every valid declaration, by kind and name."""

    provider: dict[str, Declared[ProviderDoc]] = field(default_factory=dict)
    route: dict[str, Declared[RouteDoc]] = field(default_factory=dict)
    policy: dict[str, Declared[PolicyDoc]] = field(default_factory=dict)
    key: dict[str, Declared[KeyDoc]] = field(default_factory=dict)
    settings: dict[str, Declared[SettingsDoc]] = field(default_factory=dict)
    budget: dict[str, Declared[BudgetDoc]] = field(default_factory=dict)
    limit: dict[str, Declared[LimitDoc]] = field(default_factory=dict)
    invariant: dict[str, Declared[InvariantDoc]] = field(default_factory=dict)
    test: dict[str, Declared[TestDoc]] = field(default_factory=dict)

    def models(self) -> tuple[Declaration, ...]:
        """All of them, by kind and name."""
        return tuple(group[name].model for kind in KINDS for group in (getattr(self, kind),) for name in sorted(group))


@dataclass(slots=True)
class Work:
    """The state of one compilation. Each pass reads what earlier passes filled in, and fills in its own part.

    ``unread`` says that some document could not be read at all: then a missing name may be in there, and is not
    reported as unknown. ``broken`` are the documents that are known by kind and name but not valid.
    """

    documents: tuple[Document, ...]
    cache: CompilerCache
    environ: Mapping[str, str]
    diagnostics: list[Diagnostic]
    unread: bool = False
    by_name: dict[Owner, Document] = field(default_factory=dict)
    broken: set[Owner] = field(default_factory=set)
    declared: Declarations = field(default_factory=Declarations)
    providers: dict[str, Provider] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    drafts: dict[str, Draft] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    routes: dict[str, Route] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)
    settings: tuple[str, Settings] | None = None
    findings: list[Finding] = field(default_factory=list)
    suggestions: dict[tuple[str, int], str | None] = field(default_factory=dict)
    graph: Graph | None = None
    digester: Digester = field(default_factory=Digester)
    _book: PolicyBook | None = None

    @property
    def book(self) -> PolicyBook:
        """The resolved policies; there from the ``policies`` pass on."""
        assert self._book is not None  # noqa: S101  - the order of the passes guarantees it
        return self._book

    @book.setter
    def book(self, book: PolicyBook) -> None:
        self._book = book

    def find(
        self, code: str, owner: Owner, path: Path, summary: str, *, label: str = "", detail: str = "", hint: str = "",
        key: bool = False, related: tuple[tuple[Owner, Path, str], ...] = (),
    ) -> None:  # fmt: skip
        """Adds a finding."""
        self.findings.append(Finding(code, owner, path, summary, label, detail, hint, key, related))

    def missing(self, kind: str, name: str) -> bool:
        """Whether no document of this kind and name exists, not even a broken one (nor can be in what was not read)."""
        return not self.unread and (kind, name) not in self.by_name

    def file_of(self, owner: Owner, path: Path = ()) -> str:
        """The file in which this part of a document is written."""
        return self.by_name[owner].source.file_of(path)

    def render(self, findings: Iterable[Finding]) -> list[Diagnostic]:
        """The findings as diagnostics, each once."""
        return [self._diagnostic(finding) for finding in dict.fromkeys(findings)]

    def _diagnostic(self, finding: Finding) -> Diagnostic:
        related = tuple(
            place(self.by_name[owner], path, what) for owner, path, what in finding.related if owner in self.by_name
        )
        return diagnose(
            self.by_name[finding.owner], finding.code, finding.path, finding.summary, key=finding.key,
            label=finding.label, detail=finding.detail, hint=finding.hint, related=related,
        )  # fmt: skip
