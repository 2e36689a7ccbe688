"""The page: header, checkpoint picker, tabs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from bicyclegan.checkpoints import load_card
from bicyclegan.ui.answers import QUESTIONS, Answers, server_functions
from bicyclegan.ui.api import add_api
from bicyclegan.ui.i18n import i18n
from bicyclegan.ui.lab_answers import LAB_QUESTIONS, LabAnswers
from bicyclegan.ui.map_answers import MAP_QUESTIONS, MapAnswers
from bicyclegan.ui.models_answers import MODELS_QUESTIONS, ModelsAnswers
from bicyclegan.ui.models_dialog import build_models, wire_models
from bicyclegan.ui.opening import wire_opening
from bicyclegan.ui.panel import STATIC
from bicyclegan.ui.picker import Picker
from bicyclegan.ui.run_answers import RUN_QUESTIONS, RunAnswers
from bicyclegan.ui.settings import Settings
from bicyclegan.ui.shelf import HEAD, Shelf, shelf_value
from bicyclegan.ui.studio import Studio
from bicyclegan.ui.tabs.compare import build_compare
from bicyclegan.ui.tabs.draw import build_draw
from bicyclegan.ui.tabs.explore import build_explore
from bicyclegan.ui.tabs.latent import build_map
from bicyclegan.ui.tabs.train import build_train
from bicyclegan.ui.train_answers import TRAIN_QUESTIONS, TrainAnswers
from bicyclegan.ui.uploaded import MAX_UPLOAD_BYTES

FONTS = ["Inter", "system-ui", "-apple-system", "Segoe UI", "Noto Sans SC", "PingFang SC", "sans-serif"]

READY_JS = "() => { window.studioReady = true; window.dispatchEvent(new CustomEvent('studio:ready')); }"
"""Tells our components that Gradio hears events now."""


def build_app(studio: Studio) -> gr.Blocks:
    """All tabs around one studio. Keep old files for two hours, then delete them."""
    with gr.Blocks(title="BicycleGAN Studio", analytics_enabled=False, delete_cache=(600, 7200)) as demo:
        with gr.Row(elem_classes="header"):
            gr.HTML((STATIC / "header.html").read_text("utf-8"), elem_classes="brand", apply_default_css=False)
            gr.Markdown(i18n("app.tagline"), elem_classes="tagline")
            picker = Picker(
                studio.names,
                value=studio.names[0],
                label=i18n("app.checkpoint"),
                container=False,
                elem_id="picker",
                min_width=120,
            )
            library = build_models()
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(i18n("app.draw"), id="draw"):
                draw = build_draw(studio, picker)
            with gr.Tab(i18n("app.explore"), id="explore"):
                build_explore()
            with gr.Tab(i18n("app.compare"), id="compare"):
                models = build_compare(studio)
            with gr.Tab(i18n("app.map"), id="map"):
                build_map(studio, picker)
            with gr.Tab(i18n("app.train"), id="train"):
                build_train()
        with gr.Accordion(i18n("app.about"), open=False, elem_classes="about"):
            card = gr.Markdown(load_card(studio.folder(studio.names[0])), elem_id="card")
        train = TrainAnswers(studio)
        functions = server_functions(
            (Answers(studio), QUESTIONS),
            (MapAnswers(studio), MAP_QUESTIONS),
            (ModelsAnswers(studio), MODELS_QUESTIONS),
            (RunAnswers(studio.jobs.folder), RUN_QUESTIONS),
            (train, TRAIN_QUESTIONS),
            (LabAnswers(train), LAB_QUESTIONS),
        )
        shelf = Shelf(functions, shelf_value(studio, studio.names[0]), elem_id="shelf")
        wire_opening(studio, draw, picker, card, shelf)
        # Choices come once the page says which models it knows, not when the list opens: Gradio's dropdown breaks when
        # its choices change under it.
        wire_models(studio, library, [picker, *models.values()])
        add_api(studio)

        demo.load(None, None, None, js=READY_JS)
    return demo


def launch(settings: Settings) -> None:
    """Build the studio and serve it until it is stopped."""
    settings.check()
    studio = Studio(settings)
    studio.jobs.sweep()
    studio.warm_up()
    build_app(studio).launch(**launch_options(settings))


def launch_options(settings: Settings) -> dict[str, Any]:
    """What Gradio's `launch` is told."""
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "share": settings.share or None,
        "auth": settings.credentials,
        "root_path": settings.root_path,
        "theme": theme(),
        "css_paths": [STATIC / "app.css"],
        "head": HEAD,
        "i18n": i18n,
        "run_history": False,
        "show_error": False,
        "max_file_size": MAX_UPLOAD_BYTES,
        "footer_links": ["api"],
    }


def theme() -> gr.themes.Base:
    """Quiet: system fonts (nothing is fetched), indigo for what can be pressed, greys that can be read."""
    base = gr.themes.Base(
        primary_hue="indigo", neutral_hue="slate", font=FONTS, font_mono=["ui-monospace", "monospace"]
    )
    return base.set(body_text_color_subdued="*neutral_500", body_text_color_subdued_dark="*neutral_400")
