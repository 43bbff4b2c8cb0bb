"""The app view: a workflow as a plain form, its jobs in the same queue as those of the canvas.

What runs is known by its job alone. The browser remembers the job, so a page that is loaded again finds it; a timer
asks how it stands, so nothing of a run depends on the page.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr
from gradio.components import Component

from ..graph.problems import Problem, Refused
from ..graph.workflow import Workflow
from .fields import Field
from .jobs.queue import Queue, Submission
from .jobs.wire import ENDED, JobDetail
from .public import PublicView, goals, public_view
from .results import Result, standing
from .workspace.workspace import Workspace

_SECONDS, _IDLE_SECONDS = 0.3, 3.0
"""Between two looks at a job; and where none runs, as answers that overtake each other may leave the wrong one."""

_RANDOM = "A new one for each run"


class Form:
    """The form of one workflow, drawn into the page that is being built."""

    def __init__(self, workspace: Workspace, queue: Queue, asked: Mapping[str, str], job: str | None) -> None:
        """Raises `Refused` where there is no such workflow."""
        self._workspace, self._queue, self._asked = workspace, queue, asked
        self._workflow = opened(workspace, asked)
        known = _job(queue, job)
        kept = known.workflow if known else {}
        self.view = public_view(_with_settings_of(self._workflow, kept), queue.catalog)
        self._fields = [Field(public) for public in self.view.inputs]
        self._results = [Result(output, queue.places) for output in self.view.outputs]

    def draw(self, jobs: gr.BrowserState) -> None:
        """`jobs` remembers the job of each workflow."""
        gr.Markdown(f"# {self._workflow.name or 'Workflow'}", elem_id="app-title")
        gr.Markdown(_advice(self.view, self._asked))
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                entered, pictures, rules = self._draw_fields()
                with gr.Row():
                    run = gr.Button("Run", variant="primary", elem_id="app-run")
                    cancel = gr.Button("Cancel", interactive=False, elem_id="app-cancel")
            with gr.Column(scale=3, min_width=320):
                status = gr.HTML("", elem_id="app-status")
                shown = [component for result in self._results for component in result.draw()]
        seen = gr.State({})
        timer = gr.Timer(_SECONDS)
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        for field, component in zip(self._fields, entered, strict=True):
            if isinstance(component, gr.Image):
                path = pictures[field.public.key]
                component.upload(self._take_in, component, path, **quiet)
                component.clear(lambda: "", None, path, **quiet)
        seeds = [component for field, component in zip(self._fields, entered, strict=True) if field.public.rule]
        run.click(
            self._submit,
            [jobs, *entered, *pictures.values(), *rules],
            [jobs, status, timer, run, *seeds],
            **quiet,
        )
        cancel.click(self._cancel, jobs, None, **quiet)
        timer.tick(self._look, [jobs, seen], [seen, timer, status, run, cancel, *shown], **quiet)

    def _draw_fields(self) -> tuple[list[Component], dict[str, gr.State], list[Component]]:
        """What is entered with; the path of each picture taken in; for each seed whether it is to be a new one."""
        uploads, files = self._workspace.uploads, self._queue.places.files
        entered: list[Component] = []
        pictures: dict[str, gr.State] = {}
        rules: list[Component] = []
        for field in self._fields:
            entered.append(field.component(files, uploads.choices("models") if field.kind == "model" else ()))
            if field.kind == "picture":
                pictures[field.public.key] = gr.State(field.public.value)
            if field.public.rule:
                rules.append(gr.Checkbox(field.public.rule == "random", label=_RANDOM))
        return entered, pictures, rules

    def _take_in(self, picture: str) -> str:
        """The value of a setting for a picture that was just chosen."""
        try:
            return self._workspace.uploads.save(Path(picture).read_bytes()).path
        except Refused as refused:
            raise gr.Error(str(refused), print_exception=False) from None

    def _submit(self, jobs: dict[str, str], *values: Any) -> list[Any]:
        count = len(self._fields)
        pictures = iter(values[count:])
        settings = {
            field.public.key: next(pictures) if field.kind == "picture" else field.entered(value)
            for field, value in zip(self._fields, values[:count], strict=True)
        }
        seeds = [field for field in self._fields if field.public.rule]
        rules = values[len(values) - len(seeds) :]
        try:
            workflow = self._workflow.with_settings(settings)
            wanted = goals(workflow, self._queue.catalog, self.view)
            job = self._queue.submit(Submission(workflow, wanted, file=self._asked.get("file"), client="app"))
        except Refused as refused:
            return [jobs, standing(problems=refused.problems), gr.skip(), gr.skip(), *(gr.skip() for _ in seeds)]
        following = (
            _next_seed(field, settings[field.public.key], anew) for field, anew in zip(seeds, rules, strict=True)
        )
        kept = {**jobs, source(self._asked): job.id}
        return [kept, standing(job), gr.Timer(_SECONDS), gr.Button(interactive=False), *following]

    def _cancel(self, jobs: dict[str, str]) -> None:
        if job := _job(self._queue, jobs.get(source(self._asked))):
            self._queue.cancel(job.id)

    def _look(self, jobs: dict[str, str], seen: dict[str, str]) -> list[Any]:
        """How the job stands now; `seen` are the results that are shown already."""
        job = _job(self._queue, jobs.get(source(self._asked)))
        if job is None:
            return [seen, gr.Timer(_IDLE_SECONDS), *(gr.skip() for _ in range(3 + 4 * len(self._results)))]
        running = job.status not in ENDED
        updates: list[Any] = []
        for result in self._results:
            name, found = result.updates(job, seen.get(result.output.node))
            seen = {**seen, result.output.node: name}
            updates += found
        buttons = [gr.Button(interactive=not running), gr.Button(interactive=running)]
        return [seen, gr.Timer(_SECONDS if running else _IDLE_SECONDS), standing(job), *buttons, *updates]


def form(pages: gr.Blocks, workspace: Workspace, queue: Queue) -> None:
    """Draw the page of the form into `pages`, which are being built: which workflow is told by the address, as `file`,
    `template`, `draft` or `run`."""
    asked = gr.State()
    jobs = gr.BrowserState({}, storage_key="latentloom-app")
    pages.load(_query, None, asked, show_progress="hidden", api_visibility="private")

    @gr.render(inputs=[asked, jobs], triggers=[asked.change], show_progress="hidden")
    def draw(asked: dict[str, str], known: dict[str, str]) -> None:
        try:
            Form(workspace, queue, asked, known.get(source(asked))).draw(jobs)
        except Refused as refused:
            gr.Markdown("# Latentloom")
            gr.HTML(standing(problems=refused.problems))


def opened(workspace: Workspace, asked: Mapping[str, str]) -> Workflow:
    """The workflow an address asks for. Raises `Refused`."""
    if path := asked.get("file"):
        content = workspace.files.read(path).content
    elif name := asked.get("template"):
        content = workspace.templates.get(name).content
    elif draft := asked.get("draft"):
        content = workspace.drafts.get(draft).content
    elif run := asked.get("run"):
        content = workspace.history.get(run).workflow
    else:
        raise Refused(
            [Problem("The address names no workflow: add ?file=workflows/NAME.json or ?template=NAME to it.")]
        )
    return Workflow.of(content)


def source(asked: Mapping[str, str]) -> str:
    """Names the workflow an address asks for."""
    return urlencode([(key, asked[key]) for key in ("file", "template", "draft", "run") if asked.get(key)][:1])


def _query(request: gr.Request) -> dict[str, str]:
    return {key: str(value) for key, value in request.query_params.items()}


def _job(queue: Queue, id_: str | None) -> JobDetail | None:
    """None for one that ended so long ago that the queue forgot it."""
    try:
        return queue.detail(id_) if id_ else None
    except KeyError:
        return None


def _with_settings_of(workflow: Workflow, kept: Mapping[str, Any]) -> Workflow:
    """`workflow` with what was entered when it ran, where it still has the node."""
    entered = {
        f"{node}.{name}": value
        for node, entry in kept.get("nodes", {}).items()
        if node in workflow.nodes and workflow.nodes[node].type == entry["type"]
        for name, value in entry.get("settings", {}).items()
    }
    return workflow.with_settings(entered)


def _next_seed(field: Field, seed: Any, anew: bool) -> Any:
    """The seed after a run was accepted."""
    if anew:
        return random.randrange(2**32)
    return seed + 1 if field.public.rule == "increment" else seed


def _advice(view: PublicView, asked: Mapping[str, str]) -> str:
    """Where the graph is, what the form leaves out, and how to choose what it shows."""
    lines = [f"[Open the graph](./?{source(asked)})", *view.problems]
    if not view.chosen:
        lines.append(
            "This workflow does not say what its form shows, so here are its prompts, pictures and seeds. "
            "To choose, open the graph and mark settings and results with the eye beside them."
        )
    return "\n\n".join(lines)
