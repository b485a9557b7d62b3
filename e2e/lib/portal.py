"""The built program on an empty data folder and a free port, as the ERP tests use it. Needs OPTIMUS_BIN."""

import html
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

PASSWORD = "seven wheelsets by Friday morning"

passed = 0


def check(what, got, wanted):
    """Counts what is as it should be, and ends the run with both values where it is not."""
    global passed
    if got != wanted:
        sys.exit(f"FAILED {what}\n  portal: {got!r}\n  wanted: {wanted!r}\n\n{passed} passed, 1 failed")
    passed += 1


class Portal:
    def __init__(self, folder, hosts="127.0.0.1"):
        with socket.create_server(("127.0.0.1", 0)) as free:
            listen = f"127.0.0.1:{free.getsockname()[1]}"
        self.url, self.token, self.process = f"http://{listen}", None, None
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPTIMUS_")}
        self.env = inherited | {"OPTIMUS_LISTEN": listen, "OPTIMUS_DATA_DIR": str(folder), "OPTIMUS_ERP_HOSTS": hosts}
        self.folder = folder

    def command(self, *args, stdin=""):
        done = subprocess.run([os.environ["OPTIMUS_BIN"], *args], env=self.env, cwd=self.folder, input=stdin, text=True, capture_output=True)
        if done.returncode:
            sys.exit(f"optimus {' '.join(args[:3])} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def serve(self):
        """Starts it, and signs the administrator Root in."""
        self.log = open(self.folder / "serve.log", "w+")
        self.process = subprocess.Popen([os.environ["OPTIMUS_BIN"], "serve"], env=self.env, cwd=self.folder, stdout=self.log, stderr=self.log)
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=5)
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"the portal was not ready\n{(self.folder / 'serve.log').read_text()}")
                time.sleep(0.25)
        self.token = self.rest("POST", "/api/v1/tokens", {"login": "root", "password": PASSWORD})["access_token"]

    def rest(self, method, path, body=None):
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), headers, method=method)
        try:
            return json.load(urllib.request.urlopen(request, timeout=60))
        except urllib.error.HTTPError as error:
            sys.exit(f"{method} {path}: {error.code} {error.read().decode()[:500]}")

    def items(self, path):
        cursor, items = "", []
        while cursor is not None:
            page = self.rest("GET", f"{path}?limit=100" + (f"&cursor={urllib.parse.quote(cursor)}" if cursor else ""))
            items += page["items"]
            cursor = page.get("next_cursor")
        return items

    def people(self):
        """Everyone who works here, by name, with the value of each attribute."""
        people = {}
        for item in self.items("/api/v1/employees"):
            person = self.rest("GET", f"/api/v1/employees/{item['id']}")
            values = {name: attribute["value"] for name, attribute in person["attributes"].items()}
            if values.get("active", True):
                people[values["displayName"]] = values | {"id": item["id"]}
        return people

    def sync(self, source):
        """A whole run; answers it."""
        run = self.rest("POST", f"/api/v1/sources/{source}/runs", {"dry_run": False})
        for _ in range(240):
            run = self.rest("GET", f"/api/v1/runs/{run['id']}")
            if run["phase"] not in ("reading", "planning", "applying"):
                check("the run's end", (run["phase"], run["error_text"]), ("done", None))
                return run
            time.sleep(0.25)
        sys.exit(f"the run did not end: {run}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                sys.exit("the portal did not obey SIGTERM")


class Person:
    """Somebody in a browser of their own: pages, forms, and the API with the same cookie."""

    def __init__(self, portal):
        self.portal, self.cookie = portal, ""

    def ask(self, method, path, body, kind):
        address = self.portal.url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=60)
        headers = {"Cookie": self.cookie, "Sec-Fetch-Site": "same-origin"} | ({"Content-Type": kind} if body is not None else {})
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            if cookie.startswith("__Host-optimus="):
                self.cookie = cookie.split(";")[0]
        text = answer.read().decode()
        connection.close()
        if answer.status >= 400:
            sys.exit(f"{method} {path}: {answer.status} {text[:500]}")
        return text

    def form(self, path, **fields):
        return self.ask("POST", path, urllib.parse.urlencode(fields), "application/x-www-form-urlencoded")

    def rest(self, method, path, body=None):
        text = self.ask(method, f"/api/v1{path}", None if body is None else json.dumps(body), "application/json")
        return json.loads(text)

    def propose(self, attribute, value):
        """The correction's id."""
        return self.rest("POST", "/corrections", {"attribute": attribute, "value": value, "note": "It has been so since May"})["id"]

    def accept(self, correction):
        self.rest("POST", f"/corrections/{correction}/acceptance", {})

    def retry(self, correction):
        self.rest("POST", f"/corrections/{correction}/retry", {})

    def decline(self, correction):
        return self.rest("POST", f"/corrections/{correction}/refusal", {"reason": "It is right as it is"})["state"]

    def withdraw(self, correction):
        return self.rest("POST", f"/corrections/{correction}/withdrawal", {})["state"]

    def correction(self, correction, state=None):
        """The correction; where a state is given, once it is in it."""
        for _ in range(80):
            now = self.rest("GET", f"/corrections/{correction}")
            if state in (None, now["state"]):
                return now
            time.sleep(0.25)
        sys.exit(f"the correction did not become {state}: {now}")


class Superiors:
    """Whom a person has as the superior: corrected here, written into the ERP, and read back.

    `held` asks the ERP itself for the superior of the person there, in the ERP's own words.
    """

    def __init__(self, portal, source, person, hr, whose, held):
        self.portal, self.source, self.person, self.hr, self.whose, self.held = portal, source, person, hr, whose, held

    def shown(self):
        """The direct superior by the org chart."""
        return self.portal.rest("GET", f"/api/v1/employees/{self.whose}/chain")["items"][0]["id"]

    def accepted(self, superior, meanwhile=lambda: None):
        held = self.held()
        correction = self.person.propose("manager", superior)
        check("nothing is written before somebody agreed", self.held(), held)
        meanwhile()
        self.hr.accept(correction)
        return correction

    def confirmed(self, correction, superior, there):
        """The correction is in the ERP, where `superior` is called `there`, and after the next read here too."""
        before = self.shown()
        self.person.correction(correction, "written")
        check("the superior in the ERP", self.held(), there)
        check("the chart before the next read", self.shown(), before)
        self.portal.sync(self.source)
        check("the read confirms it", self.person.correction(correction)["state"], "confirmed")
        check("the chart after it", self.shown(), superior)

    def refused(self, correction, *why):
        refused(self.person, correction, self.held, *why)


def refused(person, correction, held, code, *words):
    """The correction failed, the ERP holds what it held, and the page says why in words for people."""
    before = held()
    trouble = person.correction(correction, "failed")["trouble"]
    check("why it was not written", (trouble["code"], [word for word in words if word not in trouble["text"]]), (code, []))
    page = html.unescape(person.ask("GET", f"/corrections/{correction}", None, ""))
    check("the page says so", trouble["text"] in page, True)
    inside = [sign for sign in ("Traceback", "File \"", "psycopg", "hr.", "company.", "{", "<") if sign in trouble["text"]]
    check("and nothing of the inside", inside, [])
    check("the ERP holds what it held", held(), before)


def member(portal, root, employee):
    """An employee who was invited and chose a password."""
    page = root.form(f"/console/people/{employee}/invite", x="y")
    person = Person(portal)
    person.form(re.search(r"/invitations/[\w-]+", page).group(), password="thimble-orbit-walnut-fjord-9")
    return person
