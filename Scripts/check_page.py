#!/usr/bin/env python3
"""Uses the page of `perdure dev` as people do, in a real browser.

    Scripts/check_page.py PERDURE [--pictures FOLDER]

Starts runs, watches them, approves and denies, kills the process under an open page, settles a step in doubt, steps through a replay, decides
with the keyboard alone, looks at every page for rules of accessibility, and says how long a run of 10,000 events takes to show. With
--pictures it writes a picture of each page.
"""

import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


class Desk:
    """`perdure dev` over a folder: killed and started again, it is at the same address."""

    def __init__(self, program: str, folder: str) -> None:
        self.program, self.folder, self.port = program, folder, "0"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.program, "dev", "--folder", self.folder, "--port", self.port], stdout=subprocess.PIPE, text=True
        )
        self.address = self.read(r"Perdure at (http://[\d.:]+),")
        self.bank = self.read(r"a bank without idempotency keys at (http://[\d.:]+)\.")
        self.port = self.address.rsplit(":", 1)[1]
        self.base = f"{self.address}/namespaces/default"

    def read(self, pattern: str) -> str:
        for line in self.process.stdout:
            if found := re.search(pattern, line):
                return found.group(1)
        raise SystemExit("perdure dev ended before it took requests")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def send(self, method: str, url: str, body: dict) -> dict:
        headers = {"content-type": "application/json", "idempotency-key": f'"{uuid.uuid4()}"', "perdure-as": "ada"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def run(self, workflow: str, given: dict) -> str:
        body = {"workflow": workflow, "input": given, "labels": {"team": "secops"}}
        return self.send("POST", f"{self.address}/v1/namespaces/default/runs", body)["run"]

    def schedule(self, name: str, *options: str) -> None:
        store = ["--store", f"{self.folder}/perdure.db"]
        command = [self.program, "schedules", "create", name, "--workflow", "respond-to-incident", *options, *store]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def rotation(self, change: str, services: list[str]) -> str:
        return self.run("rotate-secrets", {"change": change, "services": services})


def be(page: Page, desk: Desk, person: str) -> None:
    page.goto(desk.base)
    page.get_by_label("Act as").fill(person)
    page.get_by_role("button", name="Change").click()
    expect(page.locator(".person strong")).to_have_text(person)


def starts_and_watches(page: Page, desk: Desk) -> None:
    be(page, desk, "ada")
    page.get_by_role("link", name="Start a run").click()
    page.get_by_label("Workflow").select_option("rotate-secrets")
    page.get_by_role("button", name="Choose").click()
    page.get_by_label("Input").fill("{")
    assert not page.evaluate("document.getElementById('s-input').checkValidity()"), "what is no JSON is not noticed"
    page.get_by_label("Input").fill('{"change":"CHG-1","services":["billing-api","ledger"]}')
    page.get_by_role("button", name="Start rotate-secrets").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("rotate-secrets")
    # Nobody loads the page again: it hears of it.
    expect(page.locator("#asks")).to_contain_text("announce")
    expect(page.locator("#standing")).to_contain_text("waits for an approval")
    expect(page.locator("#link-state")).to_contain_text("live")


def approves(page: Page, desk: Desk) -> None:
    run = desk.rotation("CHG-2", ["billing-api"])
    be(page, desk, "ada")
    page.goto(f"{desk.base}/runs/{run}")
    page.get_by_role("link", name="Decide").click()
    expect(page.locator(".decide-side")).to_contain_text("You cannot approve this one")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    be(page, desk, "bob")
    page.goto(f"{desk.base}/runs/{run}")
    page.get_by_role("link", name="Decide").click()
    digest = page.locator(".digest code").inner_text()
    page.get_by_label("Comment").fill("looked at CHG-2")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".notice")).to_contain_text("Your approval is sent")
    expect(page.locator("#run-top .state")).to_have_text("completed")
    expect(page.locator("#history")).to_contain_text("approved by human bob")
    expect(page.locator("#history")).to_contain_text("looked at CHG-2")
    expect(page.locator("#history")).to_contain_text(digest[:12])
    # It is over: the page asks no more.
    expect(page.locator("#link-state")).to_have_text("")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    time.sleep(5)
    assert not asked, f"a run that is over is asked for again: {asked}"


def refuses_what_has_changed(page: Page, desk: Desk) -> None:
    run = desk.rotation("CHG-3", ["mail-relay"])
    page.goto(f"{desk.base}/runs/{run}")
    page.get_by_role("link", name="Decide").click()
    page.evaluate("document.querySelector('input[name=digest]').value = 'f'.repeat(64)")
    page.get_by_role("button", name="Deny").click()
    expect(page.locator("main [role=alert]")).to_contain_text("What is asked has changed")
    page.get_by_role("button", name="Deny").click()
    expect(page.locator(".notice")).to_contain_text("Your denial is sent")
    expect(page.locator("#run-top .state")).to_have_text("failed")


def recovers_from_a_kill(page: Page, desk: Desk) -> None:
    run = desk.rotation("CHG-4", ["vault"])
    page.goto(f"{desk.base}/runs/{run}")
    expect(page.locator("#asks")).to_contain_text("announce")
    expect(page.locator("#link-state")).to_contain_text("live")
    desk.kill()
    expect(page.locator("#link-state")).to_contain_text("reconnecting")
    desk.start()
    expect(page.locator("#link-state")).to_contain_text("live", timeout=30_000)
    desk.send("POST", f"{desk.address}/v1/namespaces/default/runs/{run}/cancel", {})
    # The page that was open all the time shows it.
    expect(page.locator("#run-top .state")).to_have_text("cancelled", timeout=30_000)


def settles_a_doubt(page: Page, desk: Desk) -> None:
    desk.send("PUT", f"{desk.bank}/_peer/behaviour/payments", {"keys": "ignore", "dropAfterEffect": 1})
    run = desk.run("take-payment-by-hand", {"number": "order-311", "cents": 48_000})
    be(page, desk, "bob")
    page.goto(f"{desk.base}/runs/{run}")
    expect(page.locator("#stuck")).to_contain_text("charge")
    page.goto(f"{desk.base}/stuck")
    page.locator(".card", has_text="take-payment-by-hand").get_by_role("link", name="Settle it").click()
    choice = page.locator("#choice-happened")
    choice.get_by_label("What it returned").fill('{"id": "charge-1", "cents": 48000}')
    choice.get_by_label("How you know").fill("the bank's statement has it")
    choice.get_by_role("button", name="It happened").click()
    expect(page.locator(".notice")).to_contain_text("What you said is sent")
    expect(page.locator("#run-top .state")).to_have_text("completed")
    page.goto(f"{desk.base}/interventions")
    expect(page.locator("#interventions")).to_contain_text("the bank's statement has it")


def steps_through_a_replay(page: Page, desk: Desk) -> None:
    run = desk.rotation("CHG-5", ["billing-api"])
    page.goto(f"{desk.base}/runs/{run}")
    expect(page.locator("#asks")).to_contain_text("announce")
    page.goto(f"{desk.base}/runs/{run}/replay?at=1")
    expect(page.locator(".story")).to_contain_text("started with")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".step-count")).to_contain_text("Event 2")
    page.keyboard.press("End")
    expect(page.locator(".story")).to_contain_text("approval asked of role:secops")
    expect(page.locator("#replay")).to_contain_text("waits for approval")
    page.get_by_role("link", name="Previous").click()
    expect(page.locator(".story")).not_to_contain_text("approval asked")


def decides_by_keyboard(page: Page, desk: Desk) -> None:
    run = desk.rotation("CHG-6", ["ledger"])
    be(page, desk, "carol")
    page.goto(f"{desk.base}/runs/{run}")
    expect(page.locator("#asks")).to_contain_text("announce")
    page.goto(f"{desk.base}/approvals/{run}?step=announce")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "reason":
            break
    page.keyboard.type("by keyboard")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Approve")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("Your approval is sent")


def pauses_a_schedule(page: Page, desk: Desk) -> None:
    desk.schedule("drill", "--every", "15m", "--input", '{"number": "INC-1", "service": "mail-relay"}')
    be(page, desk, "bob")
    page.goto(f"{desk.base}/schedules")
    page.get_by_role("link", name="Pause").click()
    page.get_by_label("Note").fill("no drills this week")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#schedules")).to_contain_text("Paused by bob: no drills this week")
    page.get_by_role("link", name="Resume").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".notice")).to_contain_text("goes on")


def refuses_a_foreign_form(page: Page, desk: Desk) -> None:
    run = desk.rotation("CHG-7", ["ledger"])
    page.goto(f"{desk.base}/runs/{run}/cancel")
    page.evaluate("document.querySelector('main input[name=guard]').value = 'f'.repeat(64)")
    page.locator("main form button[type=submit]").click()
    expect(page.locator(".problem")).to_contain_text("form_outdated")
    page.goto(f"{desk.base}/runs/no-run")
    expect(page.locator(".problem")).to_contain_text("address_unknown")


def signs_in_to_a_server(page: Page, desk: Desk) -> None:
    """`perdure serve` over the same store: nobody gets in without saying who they are, and everybody may what they may."""
    store = f"{desk.folder}/perdure.db"

    def token(name: str, *roles: str) -> str:
        words = [desk.program, "token", "make", name, "--expires", "1h", "--store", store]
        return subprocess.run(
            words + [word for role in roles for word in ("--role", role)], check=True, capture_output=True, text=True
        ).stdout.strip()

    server = subprocess.Popen(
        [desk.program, "serve", "--store", store, "--health-address", "127.0.0.1:0", "--api-address", "127.0.0.1:0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for line in server.stdout:
            if found := re.search(r"The API and the page are at (http://[\d.:]+)\.", line):
                break
        else:
            raise AssertionError("perdure serve ended before it took requests")
        base = f"{found.group(1)}/namespaces/default"
        run = desk.rotation("CHG-31", ["ledger"])
        page.goto(f"{base}/runs/{run}")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        flaws = Axe().run(page, options=RULES).response["violations"]
        assert not flaws, [f"{rule['id']}: {rule['help']}" for rule in flaws]
        page.get_by_label("API token").fill("perdure_guess")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("no token of this server")
        page.get_by_label("API token").fill(token("reviewer", "approver:secops"))
        page.keyboard.press("Enter")
        # Where they wanted to go, and followed live although the script shows no token.
        expect(page.get_by_role("heading", level=1)).to_contain_text("rotate-secrets")
        expect(page.locator("#link-state")).to_contain_text("live")
        expect(page.locator(".person strong")).to_have_text("token:default/reviewer")
        assert page.get_by_role("link", name="Start a run").count() == 0, "who may not start a run is asked to"
        assert page.get_by_role("link", name="Nodes").count() == 0, "who may not see nodes is shown the way"
        assert page.get_by_role("link", name="Cancel").count() == 0, "who may not cancel a run is asked to"
        page.get_by_role("link", name="Approvals").click()
        page.locator(f'a[href*="/approvals/{run}"]').first.click()
        page.get_by_role("button", name="Approve").click()
        expect(page.locator(".notice")).to_contain_text("Your approval is sent")
        page.goto(f"{base}/runs/{run}/cancel")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".problem")).to_contain_text("right_missing")
        page.goto(base)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.goto(base)
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    finally:
        server.terminate()
        server.wait()


def shows_a_long_run(page: Page, desk: Desk) -> None:
    run = desk.rotation("CHG-8", [f"service-{number}" for number in range(3_400)])
    page.goto(f"{desk.base}/approvals/{run}?step=announce")
    for _ in range(120):
        if page.get_by_role("button", name="Approve").count():
            break
        time.sleep(1)
        page.reload()
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#run-top .state")).to_have_text("completed", timeout=120_000)
    page.goto(f"{desk.base}/runs/{run}")
    events = page.locator("#history .panel-note").inner_text()
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    print(f"   a run of {events}: answered after {timing['responseEnd']:.0f} ms, shown after {timing['loadEventEnd']:.0f} ms")


SCENES = [
    starts_and_watches, approves, refuses_what_has_changed, recovers_from_a_kill, settles_a_doubt, steps_through_a_replay,
    decides_by_keyboard, pauses_a_schedule, refuses_a_foreign_form, signs_in_to_a_server, shows_a_long_run,
]  # fmt: skip


def addresses(desk: Desk) -> dict[str, str]:
    """A page of every kind, over something to show."""
    run, waiting = desk.rotation("CHG-9", ["billing-api", "ledger"]), "rotate-secrets"
    desk.send("PUT", f"{desk.bank}/_peer/behaviour/payments", {"keys": "ignore", "dropAfterEffect": 1})
    doubt = desk.run("take-payment-by-hand", {"number": "order-312", "cents": 1_200})
    desk.run("respond-to-incident", {"number": "INC-12", "service": "billing-api"})
    desk.schedule("nightly-drill", "--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--input", '{"number": "INC-2", "service": "ledger"}')
    return {
        "overview": "", "runs": "/runs", "run": f"/runs/{run}", "doubt": f"/runs/{doubt}", "history": f"/runs/{run}/history",
        "replay": f"/runs/{run}/replay?at=4", "approvals": "/approvals", "approval": f"/approvals/{run}?step=announce",
        "stuck": "/stuck", "resolution": f"/stuck/{doubt}?step=charge", "schedules": "/schedules", "workflows": "/workflows",
        "nodes": "/nodes", "interventions": "/interventions", "start": f"/start?workflow={waiting}",
        "confirmation": f"/runs/{run}/terminate", "problem": "/runs/no-run",
    }  # fmt: skip


def look(browser, desk: Desk, pictures: pathlib.Path | None) -> int:
    """Every page, light and dark, wide and narrow, by the rules of accessibility."""
    pages, flaws = addresses(desk), 0
    time.sleep(1)
    for scheme, viewport in [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE)]:
        context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
        for name, path in pages.items():
            page.goto(desk.base + path)
            found = Axe().run(page, options=RULES).response["violations"]
            width = page.evaluate("document.documentElement.scrollWidth")
            complaints += [f"{rule['id']}: {rule['help']}" for rule in found]
            if width > viewport["width"]:
                complaints.append(f"is {width} wide")
            for complaint in complaints:
                print(f"✘ {name}, {scheme}, {viewport['width']}: {complaint}")
            flaws += len(complaints)
            complaints.clear()
            kind = "-phone" if viewport is PHONE else "" if scheme == "light" else "-dark"
            # Each as it is by day, and two pages in other lights.
            if pictures and (not kind or name in ("overview", "run")):
                page.screenshot(path=pictures / f"{name}{kind}.png", full_page=viewport is DESKTOP)
        context.close()
    print(f"{'✔' if flaws == 0 else '✘'} {len(pages)} pages, light, dark and on a phone: {flaws} violations")
    return flaws


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("perdure")
    parser.add_argument("--pictures", type=pathlib.Path)
    parser.add_argument("--only", help="the name of one scene, or 'look'")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="perdure-page-") as folder, sync_playwright() as playwright:
        desk = Desk(options.perdure, folder)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        try:
            for scene in SCENES:
                if options.only not in (None, scene.__name__):
                    continue
                context = browser.new_context(viewport=DESKTOP)
                page = context.new_page()
                page.set_default_timeout(15_000)
                expect.set_options(timeout=15_000)
                try:
                    scene(page, desk)
                    print(f"✔ {scene.__name__.replace('_', ' ')}", flush=True)
                except Exception as error:
                    failed += 1
                    print(f"✘ {scene.__name__.replace('_', ' ')}: {error}", flush=True)
                    page.screenshot(path=f"{tempfile.gettempdir()}/perdure-page-{scene.__name__}.png", full_page=True)
                context.close()
            if options.only in (None, "look"):
                failed += look(browser, desk, options.pictures)
        finally:
            browser.close()
            desk.stop()
    print(f"Browser: {'passed' if failed == 0 else f'{failed} failed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
