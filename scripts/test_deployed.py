"""Deploys Weir into an emulator of AWS and sees every function work through its real trigger.

Run by test-deployed.sh, which builds what it needs. Ends with 0 when all was seen, with 1 and the reason otherwise; in
both cases whatever it has started has ended by then.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import uuid

import boto3
import botocore.config

REGION = "eu-central-1"
STAGE = "e2e"
STACK = "weir-e2e"
CLIENT = "11111111-0000-4000-8000-000000000001"
PROGRAM = "22222222-0000-4000-8000-000000000001"
SELLERS = {
    "33333333-0000-4000-8000-000000000001": ("Northwind Parts", "NW-0042"),
    "33333333-0000-4000-8000-000000000002": ("Contoso Tires", "CT-0007"),
}
THREE_RIVERS_KEY = "emulated-three-rivers-key"
# The sample: two batches, every fifth record a refund, one record in error.
RECORDS = 40
SECONDS_MAX = 150
FUNCTIONS = (
    "settlement-upload",
    "detail-processor",
    "sweeper",
    "reference-sync",
    "dead-letter",
    "query-api",
    "action-api",
)


class Failed(Exception):
    """Something was not as it must be."""


def check(is_so, otherwise):
    if not is_so:
        raise Failed(otherwise)


def until(what, ask, seconds=SECONDS_MAX):
    """Asks again and again until the answer is true, and gives it."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        answer = ask()
        if answer:
            print(f"   {what}: {time.monotonic() - began:.1f} s", flush=True)
            return answer
        time.sleep(0.3)
    raise Failed(f"after {seconds} s still not so: {what}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Scene:
    """The emulator, the platform, and what is asked of them."""

    def __init__(self, arguments):
        self.folder = pathlib.Path(arguments.folder)
        self.bin = pathlib.Path(arguments.bin)
        self.python = arguments.python
        self.arch = arguments.arch
        built = (self.folder / "target/lambda/built").read_text()
        self.profile = dict(line.split() for line in built.splitlines())["profile"]
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.processes = []
        # Nothing of whoever runs this: neither credentials nor a proxy nor settings.
        self.clean = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
        }
        for name in ("home", "tmp", "logs"):
            (self.folder / name).mkdir()

    def start(self, name, command, environment):
        log = open(self.folder / "logs" / f"{name}.log", "wb")
        # A session of its own: what it starts itself ends with it.
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=self.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def stop(self):
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for process in self.processes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, sign)
            for process in self.processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)

    def log(self, name):
        return (self.folder / "logs" / f"{name}.log").read_text(errors="replace")

    def aws(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=botocore.config.Config(proxies={}, s3={"addressing_style": "path"}),
        )

    def start_emulator(self):
        environment = self.clean | {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "localhost",
            "MINISTACK_REGION": REGION,
            "LAMBDA_EXECUTOR": "local",
            # The functions inherit what follows: where AWS is, and how long things may stand still.
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_DYNAMODB": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ENDPOINT_URL_SQS": self.endpoint,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.endpoint,
            "WEIR_SWEEP_QUIET": "5",
            "WEIR_SWEEP_QUIET_BEHIND_QUEUE": "5",
        }
        process = self.start("emulator", [self.python, "-m", "ministack"], environment)

        def is_up():
            check(process.poll() is None, "the emulator has ended")
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True

        until("the emulator listens", is_up, 30)

    def start_platform(self):
        command = [self.bin / "weir-simulator", "--api-key", THREE_RIVERS_KEY]
        process = self.start("platform", command, self.clean)

        def address():
            check(process.poll() is None, "the simulator of 3Rivers has ended")
            lines = [line for line in self.log("platform").splitlines() if '"ready":true' in line]
            return lines and json.loads(lines[0])["three_rivers"]

        self.platform = until("3Rivers listens", address, 30)

    def make(self, *target, answers=""):
        """A command of the Makefile, as whoever deploys gives it, with what they answer."""
        environment = self.clean | {"AWS_ENDPOINT_URL": self.endpoint}
        command = ["make", "--no-print-directory", f"STAGE={STAGE}", *target]
        began = time.monotonic()
        done = subprocess.run(
            command, env=environment, cwd=self.folder, input=answers, capture_output=True, text=True
        )
        told = done.stdout + done.stderr
        with open(self.folder / "logs" / "make.log", "a") as log:
            log.write(told)
        print(f"   {' '.join(command)}: {time.monotonic() - began:.1f} s", flush=True)
        return done.returncode, told

    def deploy(self, *how, answers=""):
        code, told = self.make("deploy", f"PROFILE={self.profile}", f"ARCH={self.arch}", *how, answers=answers)
        check(code == 0, f"make deploy failed:\n{told[-3000:]}")
        stack = self.aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.say_concurrency_again()

    def what_is_not_meant_is_not_deployed(self):
        """Of another kind, of another profile, under a name that cannot be: refused before AWS is asked."""
        other = "arm64" if self.arch == "x86_64" else "x86_64"
        for how, expected in (
            ((f"PROFILE={self.profile}", f"ARCH={other}"), f"The packages are for {self.arch}"),
            ((f"ARCH={self.arch}", "PROFILE=another"), f"of the profile {self.profile}, not another"),
            (("STAGE=No-Stage",), "1 to 12 small letters and digits"),
        ):
            # Of two stages, make takes the last.
            code, told = self.make("deploy", *how)
            check(code != 0 and expected in told, f"{how}: {told[-1000:]}")
        check(not self.aws("cloudformation").list_stacks()["StackSummaries"], "there is a stack")

    def first_answers(self):
        """What is answered when everything is asked: Enter, but where something else is wanted."""
        given = {"ThreeRiversUrl": self.platform, "SweepRate": "rate(1 minute)"}
        template = (self.folder / "infra/template.yaml").read_text()
        parameters = re.findall(r"^  (\w+):$", template.split("\nConditions:")[0].split("\nParameters:")[1], re.M)
        answers = ["", ""] + [given.get(parameter, "") for parameter in parameters]
        # Changes are asked about, roles are made, what was made stays, the answers are saved; and yes, deploy.
        return "\n".join(answers + ["", "", "", "", "", "", "y"]) + "\n"

    def a_change_is_deployed(self):
        settings = self.folder / f"infra/{STAGE}.toml"
        aside = settings.rename(self.folder / "aside.toml")
        code, told = self.make("deploy", f"PROFILE={self.profile}", f"ARCH={self.arch}")
        check(code != 0 and "get it from whoever deployed it last" in told, f"without settings: {told[-1000:]}")
        aside.rename(settings)
        self.set_parameter("LogDays", "14")
        self.deploy("YES=1")
        groups = self.aws("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/weir-{STAGE}-")["logGroups"]
        days = {group.get("retentionInDays") for group in groups}
        check(days == {14}, f"logs are kept for {days} days")

    def set_parameter(self, name, value):
        """Changed where the answers of the first time are kept."""
        settings = self.folder / f"infra/{STAGE}.toml"
        before = settings.read_text()
        after = re.sub(rf'{name}=\\"[^"]*\\"', lambda _: f'{name}=\\"{value}\\"', before)
        check(before != after, f"{settings} does not have {name}")
        settings.write_text(after)

    def say_concurrency_again(self):
        """The emulator keeps a number that is a parameter as text, and then reads no queue. AWS makes it a number."""
        functions = self.aws("lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            most = int(mapping["ScalingConfig"]["MaximumConcurrency"])
            functions.update_event_source_mapping(
                UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": most}
            )

    def make_key(self, *limits):
        """An API key, made as an operator makes one."""
        command = [self.bin / "weir", "keys", "create", "--name", "e2e", "--json", "--all-read", *limits]
        for permission in ("batches:write", "settlements:write", "reference:write"):
            command += ["--permission", permission]
        environment = self.clean | {
            "AWS_ENDPOINT_URL_DYNAMODB": self.endpoint,
            "WEIR_TABLE_PREFIX": self.outputs["TablePrefix"],
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        check(done.returncode == 0, f"weir keys create failed: {done.stderr}")
        return json.loads(done.stdout)["key"]

    def ask(self, method, path, body=None, headers=()):
        """One request of the deployed API: its status, its headers and its body."""
        headers = {
            "Host": f"{self.outputs['ApiId']}.execute-api.localhost:{self.port}",
            "Authorization": self.key,
        } | dict(headers)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def get(self, path):
        status, _, body = self.ask("GET", path)
        check(status == 200, f"GET {path}: {status} {body[:500]!r}")
        return json.loads(body)

    def ask_platform(self, method, path, body=None):
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.platform).netloc, timeout=10)
        try:
            connection.request(method, f"/_sim/{path}", body and json.dumps(body))
            answer = connection.getresponse()
            told = answer.read()
            check(answer.status == 200, f"{method} /_sim/{path}: {answer.status} {told[:300]!r}")
            return json.loads(told)
        finally:
            connection.close()

    def summary(self):
        return self.ask_platform("GET", "summary")

    # What is seen.

    def reference_data_goes_in(self):
        made = [(f"/v1/clients/{CLIENT}", {"name": "Adventure Works"})]
        program = {
            "name": "Adventure Works Fleet",
            "status": "Active",
            "reply_to_email": "settlements@adventure-works.example.com",
            "support_email": "support@adventure-works.example.com",
            "sender_email": "reports@adventure-works.example.com",
        }
        made.append((f"/v1/clients/{CLIENT}/programs/{PROGRAM}", program))
        for seller, (name, alternate) in SELLERS.items():
            body = {"name": name, "alternate_seller_id": alternate, "status": "Active"}
            made.append((f"/v1/clients/{CLIENT}/programs/{PROGRAM}/sellers/{seller}", body))
        for path, body in made:
            status, _, answer = self.ask("POST", path, body)
            check(status in (200, 201), f"POST {path}: {status} {answer[:500]!r}")
        check(self.get(f"/v1/clients/{CLIENT}")["name"] == "Adventure Works", "the client is another")

    def requests_are_refused_in_the_api_s_own_form(self):
        for method, path, headers, expected in (
            ("GET", "/v1/batches", {"Authorization": str(uuid.uuid4())}, 401),
            ("GET", "/v1/nothing/here", {}, 404),
            ("DELETE", "/v1/batches", {}, 405),
            ("PATCH", "/nothing", {}, 404),
        ):
            status, _, body = self.ask(method, path, headers=headers)
            check(status == expected, f"{method} {path}: {status} {body[:300]!r}")
            check("code" in json.loads(body)[0], f"{method} {path}: {body[:300]!r}")
        status, _, body = self.ask("GET", "/openapi.json")
        check(status == 200 and json.loads(body)["openapi"].startswith("3."), "there is no document")
        status, _, _ = self.ask("HEAD", "/v1/batches")
        check(status == 200, f"HEAD /v1/batches: {status}")

    def sample(self, seed):
        path = self.folder / f"sample-{seed}.xml"
        command = [self.bin / "weir-local", "sample", "--out", path, "--seed", str(seed)]
        subprocess.run(command + ["--records", str(RECORDS)], env=self.clean, check=True, capture_output=True)
        return path.read_bytes()

    def settled(self, name):
        """Waits for a file by its name, and gives its batches once each detail has come to its end."""

        def done():
            files = [file for file in self.get("/v1/files") if file["name"] == name]
            if not files or files[0]["status"] != "Processed":
                check(not files or files[0]["status"] != "Error", f"{name} is in error: {files}")
                return None
            batches = self.get(f"/v1/files/{files[0]['id']}/batches")
            is_over = batches and all(batch["status"] != "Unprocessed" for batch in batches)
            return batches if is_over else None

        return until(f"{name} is settled", done)

    def a_file_in_the_bucket_is_settled(self):
        key = f"{CLIENT}/{PROGRAM}/from the bucket.xml"
        self.aws("s3").put_object(Bucket=self.outputs["Bucket"], Key=key, Body=self.sample(101))
        batches = self.settled("from the bucket.xml")
        in_error = sum(batch["batch_detail_error_count"] for batch in batches)
        everything = sum(batch["batch_detail_count"] for batch in batches)
        check((everything, in_error) == (2 * RECORDS, 1), f"{everything} details, {in_error} in error")
        seen = self.summary()
        made = seen["charges"] + seen["refunds"]
        check(made == 2 * RECORDS - 1 and seen["duplicates"] == 0, f"3Rivers has seen {seen}")

    def a_file_over_http_is_settled(self):
        """With a buyer whom 3Rivers does not know at first."""
        xml = self.sample(202)
        buyer = re.search(rb"<BuyerId>([^<]+)", xml)[1].decode()
        self.ask_platform("PUT", "rules", {"buyers": {"unknown": [buyer]}})
        headers = {
            "Authorization": self.make_key("--client-id", CLIENT, "--program-id", PROGRAM),
            "Content-Type": "application/xml",
            "X-File-Name": "over-http.xml",
        }
        status, _, body = self.ask("POST", "/v1/settlements", xml, headers)
        check(status in (200, 201, 202), f"POST /v1/settlements: {status} {body[:500]!r}")
        charges = [part.split(b"</Charge>")[0] for part in xml.split(b"<Charge>")[1:]]
        refused = sum(f"<BuyerId>{buyer}<".encode() in charge for charge in charges)
        check(refused > 0, f"{buyer} buys nothing")

        def batches_of_it():
            files = [file for file in self.get("/v1/files") if file["name"] == "over-http.xml"]
            batches = files and self.get(f"/v1/files/{files[0]['id']}/batches")
            # Refunds of what was refused wait. One record more breaks a rule of the format.
            in_error = sum(batch["batch_detail_error_count"] for batch in batches)
            return batches if in_error == refused + 1 else None

        self.refused = until(f"{refused} charges are refused", batches_of_it)

    def what_was_refused_is_retried(self):
        """Once the buyer is known: through the API onto the details queue, and settled once."""
        self.ask_platform("PUT", "rules", {"forget_refusals": True})
        for batch in self.refused:
            path = f"/v1/files/{batch['file_id']}/batches/{batch['id']}"
            status, _, body = self.ask("POST", f"{path}/retry", {})
            check(status == 200, f"POST {path}/retry: {status} {body[:500]!r}")
        batches = self.settled("over-http.xml")
        in_error = sum(batch["batch_detail_error_count"] for batch in batches)
        check(in_error == 1, f"{in_error} are in error, and one record breaks a rule of the format")
        seen = self.summary()
        made = seen["charges"] + seen["refunds"]
        # Of two files by now.
        check(made == 2 * (2 * RECORDS - 1) and seen["duplicates"] == 0, f"3Rivers has seen {seen}")

    def a_message_brings_reference_data(self):
        customer = str(uuid.uuid4())
        now = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
        data = {"id": customer, "client_id": CLIENT, "program_id": PROGRAM, "name": "Fabrikam Fleet"}
        body = {"type": "customer.created", "occurred_at": now, "data": data}
        self.aws("sqs").send_message(QueueUrl=self.outputs["MessagesQueueUrl"], MessageBody=json.dumps(body))
        until("the customer is known", lambda: self.ask("GET", f"/v1/customers/{customer}")[0] == 200)

    def poison_ends_as_a_message_that_failed(self):
        """Onto the dead-letter queue as SQS's redrive puts it: five receives would take half an hour."""
        sqs = self.aws("sqs")
        queue = sqs.get_queue_url(QueueName=f"weir-{STAGE}-details-dead-letters")["QueueUrl"]
        sqs.send_message(QueueUrl=queue, MessageBody='{"v": 99, "poison": true}')
        until(
            "the dead letter is kept",
            lambda: [message for message in self.get("/v1/sqsmessages") if message["status"] == "Failed"],
        )

    def what_stands_still_is_swept(self):
        """A detail whose message is lost: the schedule alone can bring it back."""
        sqs, scheduler = self.aws("sqs"), self.aws("scheduler")
        schedule = scheduler.get_schedule(Name=f"weir-{STAGE}-sweeper")
        is_on = (schedule["State"], schedule["ScheduleExpression"]) == ("ENABLED", "rate(1 minute)")
        check(is_on, f"the schedule is {schedule}")
        functions = self.aws("lambda")
        pages = functions.list_event_source_mappings(FunctionName=f"weir-{STAGE}-detail-processor")
        mapping = pages["EventSourceMappings"][0]["UUID"]
        functions.update_event_source_mapping(UUID=mapping, Enabled=False)
        key = f"{CLIENT}/{PROGRAM}/forgotten.xml"
        self.aws("s3").put_object(Bucket=self.outputs["Bucket"], Key=key, Body=self.sample(303))
        until(
            "the forgotten file is on the queue",
            lambda: [file for file in self.get("/v1/files") if file["name"] == "forgotten.xml" and file["status"] == "Processed"],
        )
        sqs.purge_queue(QueueUrl=self.outputs["DetailsQueueUrl"])
        file = next(file for file in self.get("/v1/files") if file["name"] == "forgotten.xml")
        statuses = {batch["status"] for batch in self.get(f"/v1/files/{file['id']}/batches")}
        check(statuses == {"Unprocessed"}, f"its batches are {statuses} although nothing works on them")
        functions.update_event_source_mapping(UUID=mapping, Enabled=True)
        self.settled("forgotten.xml")
        # For a while it cannot be told whether a message is lost or late; it is woken all the same.
        woken = self.counted("sweeper", "swept") + self.counted("sweeper", "details_woken")
        check(woken > 0, "the sweeper has woken nothing")

    def lines(self, function):
        """What a function has logged, each line an object where it is one."""
        group = f"/aws/lambda/weir-{STAGE}-{function}"
        pages = self.aws("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        texts = [line for page in pages for event in page["events"] for line in event["message"].splitlines()]
        lines = []
        for text in texts:
            with contextlib.suppress(ValueError):
                lines.append(json.loads(text))
        return [line for line in lines if isinstance(line, dict)]

    def counted(self, function, metric):
        """How much of a metric a function has written for CloudWatch, in this deployment's namespace."""
        written = [
            line
            for line in self.lines(function)
            if any(
                directive["Namespace"] == f"weir-{STAGE}"
                for directive in line.get("_aws", {}).get("CloudWatchMetrics", [])
            )
        ]
        values = [line.get(metric, 0) for line in written]
        return sum(len(value) if isinstance(value, list) else value for value in values)

    def every_function_has_run_and_none_has_failed(self):
        for function in FUNCTIONS:
            configuration = self.aws("lambda").get_function_configuration(FunctionName=f"weir-{STAGE}-{function}")
            check(configuration["Runtime"] == "provided.al2023", f"{function} is {configuration['Runtime']}")
            times = self.counted(function, "invocation_time")
            check(times > 0, f"{function} has not run")
            bad = [
                line
                for line in self.lines(function)
                # The poison was put there by us.
                if line.get("level") == "ERROR" and line.get("queue") != f"weir-{STAGE}-details-dead-letters"
            ]
            check(not bad, f"{function} says {bad[:3]}")
            print(f"   {function}: {times} times", flush=True)

    def it_is_taken_away_but_for_its_data(self):
        code, told = self.make("destroy", answers="another\n")
        check(code != 0 and "Nothing was changed" in told, f"it was taken away without a yes:\n{told[-2000:]}")
        code, told = self.make("destroy", answers=f"{STAGE}\n")
        check(code == 0, f"make destroy failed:\n{told[-3000:]}")
        left = self.aws("lambda").list_functions()["Functions"]
        check(not left, f"functions are left: {[function['FunctionName'] for function in left]}")
        tables = self.aws("dynamodb").list_tables()["TableNames"]
        check(f"weir-{STAGE}-details" in tables, f"the tables are gone: {tables}")
        self.aws("s3").head_object(Bucket=self.outputs["Bucket"], Key=f"{CLIENT}/{PROGRAM}/forgotten.xml")
        code, told = self.make("destroy", answers=f"{STAGE}\n")
        check(code != 0 and "There is no" in told, f"a second time: {told[-2000:]}")

def main():
    parser = argparse.ArgumentParser()
    for name in ("folder", "arch", "bin", "python"):
        parser.add_argument(f"--{name}", required=True)
    scene = Scene(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    try:
        scene.start_emulator()
        scene.start_platform()
        print("== What is not meant is not deployed", flush=True)
        scene.what_is_not_meant_is_not_deployed()
        print("== The template is deployed, without keys", flush=True)
        scene.deploy(answers=scene.first_answers())
        print("== The keys are put in, which is no deployment", flush=True)
        scene.aws("secretsmanager").put_secret_value(
            SecretId=scene.outputs["ThreeRiversKeysArn"],
            SecretString=json.dumps({CLIENT: THREE_RIVERS_KEY}),
        )
        print("== A change is deployed", flush=True)
        scene.a_change_is_deployed()
        scene.key = scene.make_key()
        for see in (
            scene.reference_data_goes_in,
            scene.requests_are_refused_in_the_api_s_own_form,
            scene.a_file_in_the_bucket_is_settled,
            scene.a_file_over_http_is_settled,
            scene.what_was_refused_is_retried,
            scene.a_message_brings_reference_data,
            scene.poison_ends_as_a_message_that_failed,
            scene.what_stands_still_is_swept,
            scene.every_function_has_run_and_none_has_failed,
            scene.it_is_taken_away_but_for_its_data,
        ):
            print(f"== {see.__name__.replace('_', ' ').capitalize()}", flush=True)
            see()
        print(f"The deployed system does its work: {time.monotonic() - began:.0f} s")
    except Failed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        print("\n".join(scene.log("emulator").splitlines()[-40:]), file=sys.stderr)
        return 1
    finally:
        scene.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
