"""A language server: what `claimlint check` says, in an editor, while a claim file is typed. See docs/editors.md."""

from __future__ import annotations

from claimlint.server.handlers import serve as serve
