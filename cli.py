"""The command `suture`: `up`, `doctor` and `demo` talk to this machine, every noun to the HTTP API."""

from pathlib import Path
from typing import Annotated

import typer

from commands import audit, demo, doctor, incident, people, pipeline, places, plan, platform, recovery, run, switch, token, up
from commands.exits import Edge
from commands.session import DataOption, Given, remember

app = typer.Typer(
    cls=Edge,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    epilog="Example: suture up, then in another terminal: suture pipeline list",
    help="Pipelines and services that heal themselves, with people in charge.",
)


@app.callback()
def root(
    ctx: typer.Context,
    data: DataOption = None,
    token_file: Annotated[Path | None, typer.Option(help="A file that holds a token; else SUTURE_TOKEN.")] = None,
    api_url: Annotated[str | None, typer.Option(help="Where the API is; else SUTURE_API_URL, else the stack here.")] = None,
) -> None:
    remember(ctx, Given(data=data, token_file=token_file, api_url=api_url))


app.command("up", epilog="Example: suture up --data ~/suture --api-port 8080")(up.up)
app.command("demo", epilog="Example: suture demo --seed 7")(demo.demo)
app.command("doctor", epilog="Example: suture doctor")(doctor.doctor)
app.command("ui", epilog="Example: suture ui")(doctor.ui)
app.command("approve", epilog="Example: suture approve plan_06c2k8r3c1x7v9h2m4n5p6q7s8 --reason 'v1 was good'")(plan.approve)
app.command("reject", epilog="Example: suture reject plan_06c2k8r3c1x7v9h2m4n5p6q7s8 --reason 'not on Friday'")(plan.reject)
app.command("approvals", epilog="Example: suture approvals --status open")(plan.approvals)
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(run.app, name="run")
app.add_typer(incident.app, name="incident")
app.add_typer(plan.app, name="plan")
app.add_typer(recovery.app, name="recovery")
app.add_typer(switch.app, name="kill-switch")
app.add_typer(audit.app, name="audit")
app.add_typer(people.app, name="principal")
app.add_typer(token.app, name="token")
app.add_typer(places.secrets, name="secret")
app.add_typer(places.environments, name="environment")
app.add_typer(platform.app, name="platform")


def main() -> None:
    app(prog_name="suture")


if __name__ == "__main__":
    main()
