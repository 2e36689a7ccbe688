"""The dialog with models in Chromium: one's own models stay one's own, and the whole page follows them."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from studio_visitor import NAME, OUTLINE, Visitor

from bicyclegan.checkpoints import DEFAULT_ROOT

pytestmark = pytest.mark.browser

FIXTURES = Path(__file__).parent.parent / "fixtures" / "official"
DIALOG = "#models-panel dialog"


@pytest.fixture(scope="module")
def studio(checkpoints, tmp_path_factory):
    from bicyclegan.ui.settings import Settings
    from bicyclegan.ui.studio import Studio

    return Studio(Settings(checkpoints=checkpoints, models=tmp_path_factory.mktemp("own") / "models"))


@pytest.fixture(scope="module")
def url(studio, serve) -> str:
    from bicyclegan.ui.app import build_app, launch_options

    options = {key: value for key, value in launch_options(studio.settings).items() if not key.startswith("server_")}
    return serve(build_app(studio), **options)


@pytest.fixture
def boots(studio, tmp_path) -> str:
    """The id of a model of somebody's."""
    folder = shutil.copytree(DEFAULT_ROOT / NAME, tmp_path / "copy")
    (folder / "README.md").write_text("# x\n\n<img src=x onerror=alert(1)> <b>bold</b>\n", "utf-8")
    return studio.models.add(folder, "my boots")


class Reader(Visitor):
    """Somebody with the dialog."""

    def own(self, id: str) -> None:
        self.page.evaluate("id => studio.addModel(id)", id)

    def use(self, id: str) -> None:
        self.page.evaluate("id => studio.useModel(id)", id)
        self.page.wait_for_function("id => studio.get('model').name === id", arg=id)

    def open_dialog(self) -> None:
        self.page.locator("#models-panel .open-models").click()
        self.page.locator(f"{DIALOG} .shared .model").first.wait_for()

    def row(self, name: str):
        return self.page.locator(f"{DIALOG} .model").filter(has=self.page.locator(f".name:text-is('{name}')"))

    def in_drawer(self, name: str, button: str) -> None:
        if not self.row(name).locator(".drawer").count():
            self.row(name).locator(".more").click()
        self.row(name).locator(".drawer > .row .button", has_text=button).click()

    def told(self) -> str:
        line = self.page.locator(f"{DIALOG} .told")
        line.wait_for()
        return line.inner_text()

    def complaint(self) -> str:
        line = self.page.locator(f"{DIALOG} .error")
        line.wait_for()
        return line.inner_text()

    def choices(self, picker: str = "picker") -> list[str]:
        self.page.locator(f"#{picker} input").click()
        self.page.get_by_role("option").first.wait_for()
        found = [text.removeprefix("✓").strip() for text in self.page.get_by_role("option").all_inner_texts()]
        self.page.keyboard.press("Escape")
        return found

    def picked(self, name: str) -> None:
        """Wait until the page's picker shows a name."""
        self.page.wait_for_function("name => document.querySelector('#picker input').value === name", arg=name)

    def stored(self) -> list[str]:
        return json.loads(self.page.evaluate("localStorage.getItem('bicyclegan.models') ?? '[]'"))


@pytest.fixture
def visitor(open_page, url) -> Reader:
    visitor = Reader(open_page(url))
    visitor.problems = open_page.problems
    return visitor


def test_a_model_of_ones_own_is_used_like_any_other(visitor, boots):
    visitor.own(boots)
    assert visitor.stored() == [boots]
    assert visitor.choices() == [NAME, "other", "my-boots"]
    visitor.use(boots)
    visitor.picked("my-boots")
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.pin_wall(0)
    visitor.open_tab("explore")
    visitor.stage()
    visitor.open_tab("compare")
    visitor.page.locator("#models button").first.click()
    assert visitor.choices("model-b") == [NAME, "other", "my-boots"]
    seen = visitor.page.evaluate('document.body.innerText + document.body.innerHTML.replace(/src="[^"]*"/g, \'\')')
    assert boots not in seen, "people see names"


def test_the_picker_itself_chooses_it(visitor, boots):
    visitor.own(boots)
    visitor.page.locator("#picker input").click()
    visitor.page.get_by_role("option", name="my-boots", exact=True).click()
    visitor.page.wait_for_function("id => studio.get('model').name === id", arg=boots)
    visitor.draw(OUTLINE)
    visitor.wall()
    assert visitor.page.evaluate("studio.get('wall').checkpoint") == boots


def test_a_reload_comes_back_to_it(visitor, boots):
    visitor.own(boots)
    visitor.use(boots)
    visitor.page.wait_for_timeout(800)  # Gradio complains of a stream that is cut off
    visitor.page.reload()
    visitor.page.wait_for_function("id => window.studio?.get('model')?.name === id", arg=boots)
    visitor.picked("my-boots")
    visitor.page.wait_for_timeout(800)  # until the list has come as well
    visitor.picked("my-boots")
    assert visitor.choices() == [NAME, "other", "my-boots"]


def test_the_dialog_by_keyboard(visitor, boots):
    visitor.own(boots)
    button = visitor.page.locator("#models-panel .open-models")
    button.focus()
    visitor.page.keyboard.press("Enter")
    visitor.row("my-boots").wait_for()
    assert "yours" in visitor.row("my-boots").inner_text()
    assert "shared" in visitor.row(NAME).inner_text()
    assert visitor.row(NAME).locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    visitor.page.keyboard.press("Escape")
    assert not visitor.page.locator(DIALOG).is_visible()
    assert button.evaluate("node => node === document.activeElement")


def test_use_in_the_dialog_closes_it(visitor, boots):
    visitor.own(boots)
    visitor.open_dialog()
    visitor.row("my-boots").locator(".use").click()
    visitor.page.wait_for_function("id => studio.get('model').name === id", arg=boots)
    assert not visitor.page.locator(DIALOG).is_visible()
    visitor.open_dialog()
    assert visitor.row("my-boots").locator(".use").is_disabled()


def test_a_card_from_anywhere_is_only_text(visitor, boots):
    visitor.own(boots)
    visitor.open_dialog()
    visitor.in_drawer("my-boots", "Model card")
    card = visitor.row("my-boots").locator(".card")
    card.wait_for()
    assert "bold" in card.inner_text()
    assert card.locator("*").count() == 0


def test_renaming_reaches_the_whole_page(visitor, boots):
    visitor.own(boots)
    visitor.use(boots)
    visitor.open_dialog()
    visitor.in_drawer("my-boots", "Rename")
    field = visitor.row("my-boots").locator("[name=name]")
    field.fill("winter boots")
    field.press("Enter")
    assert "winter-boots now: names hold" in visitor.told()
    visitor.row("winter-boots").wait_for()
    visitor.page.wait_for_function("studio.get('model').label === 'winter-boots'")
    visitor.picked("winter-boots")
    visitor.row("winter-boots").locator(".more").click()
    visitor.row("winter-boots").locator(".drawer .button", has_text="Rename").click()
    visitor.row("winter-boots").locator("[name=name]").fill("///")
    visitor.row("winter-boots").locator("form .button").click()
    assert "cannot be called" in visitor.complaint()


def test_deleting_the_model_in_use(visitor, boots, studio):
    visitor.own(boots)
    visitor.use(boots)
    visitor.draw(OUTLINE)
    visitor.wall()
    visitor.open_dialog()
    visitor.in_drawer("my-boots", "Delete")
    assert studio.models.has(boots), "it asks first"
    visitor.row("my-boots").locator("form .button").click()
    visitor.page.wait_for_function("name => studio.get('model').name === name", arg=NAME)
    assert "my-boots was deleted" in visitor.told()
    assert not studio.models.has(boots)
    assert visitor.stored() == []
    assert visitor.row("my-boots").count() == 0
    visitor.page.keyboard.press("Escape")
    visitor.picked(NAME)
    assert visitor.choices() == [NAME, "other"]


def test_shared_models_can_only_be_looked_at_and_taken_along(visitor):
    visitor.open_dialog()
    visitor.row(NAME).locator(".more").click()
    assert visitor.row(NAME).locator(".drawer .button").all_inner_texts() == [
        "Model card",
        "Save as ZIP",
        "Upload to the Hub",
    ]


def test_a_zip_of_a_model(visitor, boots, tmp_path):
    visitor.own(boots)
    visitor.open_dialog()
    with visitor.page.expect_download() as waiting:
        visitor.in_drawer("my-boots", "Save as ZIP")
    assert waiting.value.suggested_filename == "my-boots.zip"
    waiting.value.save_as(tmp_path / "boots.zip")
    with zipfile.ZipFile(tmp_path / "boots.zip") as packed:
        assert packed.testzip() is None
        assert "my-boots/model.safetensors" in packed.namelist()


def test_uploading_needs_a_token_which_is_emptied(visitor, boots, studio, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "bicyclegan.pipeline.Pipeline.push_to_hub",
        lambda pipe, repo, private, token: asked.append((repo, private, token)) or f"https://huggingface.co/{repo}",
    )
    visitor.own(boots)
    visitor.open_dialog()
    visitor.in_drawer("my-boots", "Upload to the Hub")
    form = visitor.row("my-boots").locator("form")
    assert form.locator("[name=token]").get_attribute("type") == "password"
    form.locator("[name=repo]").fill("ada/boots")
    form.locator("[name=token]").fill("hf_0123456789abcdef")
    form.locator(".button").click()
    assert "https://huggingface.co/ada/boots" in visitor.told()
    assert asked == [("ada/boots", True, "hf_0123456789abcdef")]
    assert form.locator("[name=token]").input_value() == ""
    stores = visitor.page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")
    assert "hf_0123" not in stores


def official(visitor, name: str, options: str | None = None) -> None:
    """Fill in the form for official files."""
    folder = FIXTURES / "g_unet128_all_bilinear_legacy"
    form = visitor.page.locator(f"{DIALOG} .official form")
    visitor.page.locator(f"{DIALOG} .official summary").click()
    form.locator("[name=generator]").set_input_files(next(folder.glob("*.pth")))
    form.locator("[name=options]").fill((folder / "options.json").read_text() if options is None else options)
    form.locator("[name=name]").fill(name)
    form.locator("[type=submit]").click()


def test_official_files_become_a_model_of_ones_own(visitor, studio):
    visitor.open_dialog()
    official(visitor, "from the paper")
    assert "from-the-paper is here now" in visitor.told()
    [id] = visitor.stored()
    assert studio.models.about(id).source == "official"
    visitor.row("from-the-paper").locator(".use").click()
    visitor.page.wait_for_function("id => studio.get('model').name === id", arg=id)
    visitor.picked("from-the-paper")
    visitor.draw(OUTLINE)
    visitor.wall()


def test_what_is_wrong_with_official_files_is_said(visitor):
    visitor.open_dialog()
    official(visitor, "x", options="{")
    assert "not valid JSON" in visitor.complaint()
    form = visitor.page.locator(f"{DIALOG} .official form")
    assert form.locator("[name=name]").input_value() == "x", "nothing has to be typed again"
    form.locator("[name=options]").fill("")
    form.locator("[type=submit]").click()
    visitor.page.wait_for_function(
        "selector => document.querySelector(selector).textContent.startsWith('The options are missing')",
        arg=f"{DIALOG} .error",
    )


def test_a_file_that_is_too_large_is_not_sent(visitor):
    sent = []
    visitor.page.on("request", lambda request: sent.append(request.url) if "/upload" in request.url else None)
    visitor.page.evaluate("studio.set('limits', { ...studio.get('limits'), upload_bytes: 1 << 20 })")
    visitor.open_dialog()
    visitor.page.evaluate(
        """() => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(2 << 20)], "huge.pth"));
            document.querySelector("#models-panel [name=generator]").files = files.files;
        }"""
    )
    visitor.page.locator(f"{DIALOG} .official summary").click()
    form = visitor.page.locator(f"{DIALOG} .official form")
    form.locator("[name=options]").fill("{}")
    form.locator("[name=name]").fill("x")
    form.locator("[type=submit]").click()
    assert "huge.pth is larger than 1 MB" in visitor.complaint()
    assert not sent


def test_sending_can_be_stopped(visitor):
    visitor.page.route("**/gradio_api/upload*", lambda route: None)  # it never ends
    visitor.open_dialog()
    official(visitor, "x")
    stop = visitor.page.locator(f"{DIALOG} [data-action=stop]")
    stop.click()
    stop.wait_for(state="hidden")
    assert not visitor.page.locator(f"{DIALOG} .error").is_visible()
    visitor.page.unroute("**/gradio_api/upload*")
    visitor.page.locator(f"{DIALOG} .official [type=submit]").click()
    assert "x is here now" in visitor.told()


def test_a_hub_that_cannot_be_reached_is_explained(visitor):
    visitor.open_dialog()
    visitor.page.locator(f"{DIALOG} .from-hub summary").click()
    visitor.page.locator(f"{DIALOG} [name=repo]").fill("shoes")
    visitor.page.locator(f"{DIALOG} .from-hub [type=submit]").click()
    assert "write it as user/name" in visitor.complaint()
    visitor.page.locator(f"{DIALOG} [name=repo]").fill("ada/shoes")
    visitor.page.locator(f"{DIALOG} .from-hub [type=submit]").click()
    visitor.page.wait_for_function(
        "selector => document.querySelector(selector).textContent.includes('Could not fetch ada/shoes')",
        arg=f"{DIALOG} .error",
    )


def test_a_link_shares_the_model_but_not_the_right_place_in_the_list(visitor, boots, open_page, url):
    visitor.own(boots)
    visitor.use(boots)
    text = visitor.page.evaluate(
        """async () => (await studio.ask("pack_link", { checkpoint: studio.get("model").name, sketch: "", seed: 0,
            count: 2, truncation: 1, tab: "draw", z: null, pins: [] })).text"""
    )
    visitor.page.evaluate("localStorage.clear()")
    guest = Reader(open_page(f"{url}#studio={text}", width=1200))
    guest.page.wait_for_function("id => studio.get('model').name === id", arg=boots)
    guest.picked("my-boots")
    assert guest.stored() == []
    guest.open_dialog()
    guest.row("my-boots").wait_for()
    assert "from a link" in guest.row("my-boots").inner_text()
    guest.row("my-boots").locator(".more").click()
    assert "Delete" not in guest.row("my-boots").inner_text()
    guest.row("my-boots").locator(".drawer .button", has_text="Keep").click()
    guest.page.wait_for_function("localStorage.getItem('bicyclegan.models') !== null")
    assert guest.stored() == [boots]


def test_another_window_deletes_the_model_in_use(visitor, boots, studio, open_page, url):
    visitor.own(boots)
    visitor.use(boots)
    visitor.page.wait_for_function("() => studio.allModels().length === 3")
    other = Reader(open_page(url))
    other.open_dialog()
    other.in_drawer("my-boots", "Delete")
    other.row("my-boots").locator("form .button").click()
    visitor.page.wait_for_function("name => studio.get('model').name === name", arg=NAME)
    assert "my-boots is not here any more" in visitor.message()


def test_compare_leaves_a_deleted_model(visitor, boots):
    visitor.own(boots)
    visitor.open_tab("compare")
    visitor.page.locator("#models button").first.click()
    visitor.page.locator("#model-b input").click()
    visitor.page.get_by_role("option", name="my-boots", exact=True).click()
    visitor.open_dialog()
    visitor.in_drawer("my-boots", "Delete")
    visitor.row("my-boots").locator("form .button").click()
    visitor.page.wait_for_function("name => document.querySelector('#model-b input').value === name", arg=NAME)


@pytest.mark.parametrize("width", [320, 390])
def test_on_a_phone_in_chinese(open_page, url, boots, width):
    reader = Reader(open_page(url, width=width, height=800, locale="zh-CN"))
    reader.own(boots)
    scrolls = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not reader.page.evaluate(scrolls)
    box = reader.page.locator("#models-panel .open-models").bounding_box()
    assert 0 <= box["x"] <= width - box["width"]
    reader.open_dialog()
    reader.in_drawer("my-boots", "重命名")
    assert reader.page.locator("#models-title").inner_text() == "模型"
    inside = reader.page.locator(f"{DIALOG} .body")
    assert inside.evaluate("node => node.scrollWidth <= node.clientWidth")
    box = reader.page.locator(DIALOG).bounding_box()
    assert 0 <= box["x"] <= width - box["width"]
