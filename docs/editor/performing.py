"""The tasks of tests/browser/tasks, performed in every editor that has them."""

from __future__ import annotations

from comfy_page import ComfyPage
from playwright.sync_api import Error
from tasks.core import CoreEditor
from tasks.editor import Editor
from tasks.here import ReCoEditor
from tasks.kj import KjEditor
from tasks.table import TASKS, Task

FAILS = "fails"
PATIENCE_MS = 8000


def perform(comfy: ComfyPage, with_kj: bool) -> dict[str, dict[str, int | str]]:
    """{task: {editor: actions, or that it fails there}} of the editors that offer it."""
    kinds = [ReCoEditor, CoreEditor, *([KjEditor] if with_kj else [])]
    usable = [kind for kind in kinds if comfy.renderer in kind.renderers]
    return {
        task.title: {kind.name: actions(task, kind, comfy) for kind in usable if task.is_for(kind)}
        for task in TASKS
    }


def actions(task: Task, kind: type[Editor], comfy: ComfyPage) -> int | str:
    comfy.page.set_default_timeout(PATIENCE_MS)
    try:
        return task.do(kind, comfy)
    except (AssertionError, Error) as error:
        print(f"{kind.name} ({comfy.renderer}): {task.title}: {str(error)[:200]}", flush=True)
        return FAILS
    finally:
        comfy.page.set_default_timeout(60_000)
