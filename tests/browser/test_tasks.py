"""What people do with the editor, by hand, with the result looked up in the workflow."""

from __future__ import annotations

import pytest
from tasks.here import ReCoEditor
from tasks.table import TASKS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_can_be_done(task, comfy):
    assert task.do(ReCoEditor, comfy) > 0
