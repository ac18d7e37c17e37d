#!/usr/bin/env python3
"""What is in deploy/ is well formed, passes its linters, and names only commands, options and files that there are.

Nothing is built or started: that takes a container engine, and a cluster.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import helm_python
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/mynah"
BINARY = ROOT / os.environ.get("MYNAH_BIN", "target/debug/mynah")
# Of systemd's ten, from safe to exposed.
MOST_EXPOSED = 2.0
KUBERNETES = "v1.31.0"
# What turns on every part of the chart.
EVERYTHING = {
    "replicaCount": 3,
    "secrets": {"OPENAI_API_KEY": "k", "NUMBER": 7},
    "existingSecret": "more",
    "extraEnv": [{"name": "MYNAH_LOG", "value": "info"}],
    "adminPort": 8081,
    "imagePullSecrets": [{"name": "registry"}],
    "ingress": {"enabled": True, "className": "nginx", "tls": [{"hosts": ["h"], "secretName": "s"}], "annotations": {"a": "b"}},
    "autoscaling": {"enabled": True},
    "persistence": {"existingClaim": "claim"},
    "service": {"annotations": {"a": "b"}},
    "serviceAccount": {"annotations": {"a": "b"}},
    "podLabels": {"l": "m"},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"k": "v"},
    "tolerations": [{"key": "k"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1}],
}
VALUES = {"as it is": {}, "everything": EVERYTHING, "two nodes": {"replicaCount": 2, "serviceAccount": {"create": False}}}
ALWAYS = {"ConfigMap", "Deployment", "Service"}
KINDS = {
    "as it is": ALWAYS | {"ServiceAccount"},
    "everything": ALWAYS | {"ServiceAccount", "Secret", "Ingress", "HorizontalPodAutoscaler", "PodDisruptionBudget"},
    "two nodes": ALWAYS | {"PodDisruptionBudget"},
}


def main():
    failed = 0
    checks = [compose_files, dockerfiles, configurations, unit, *(chart(name) for name in VALUES)]
    for check in checks:
        name = check.__name__.replace("_", " ")
        try:
            check()
            print(f"ok      {name}")
        except Exception as error:  # the next one is of interest too
            failed += 1
            print(f"FAILED  {name}: {error}")
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def is_understood(arguments):
    """Whether the binary knows a command and its options."""
    run(BINARY, *arguments, "--help")


def compose_files():
    files = sorted(DEPLOY.rglob("docker-compose*.yml"))
    assert len(files) == 4, files
    for file in files:
        document = yaml.safe_load(file.read_text())
        for name, service in document["services"].items():
            where = f"{file.name}: {name}"
            assert "image" in service or "build" in service, where
            build = service.get("build")
            if isinstance(build, dict):
                assert (file.parent / build["context"] / build["dockerfile"]).is_file(), where
            for other in service.get("depends_on", {}):
                assert other in document["services"], f"{where}: {other}"
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                # `config` is the directory of the proxy whose place is taken.
                found = source in document["volumes"] or source == "./config" or (file.parent / source).is_file()
                assert found, f"{where}: {source}"
            for word in service.get("command", []) if "mynah" in name else []:
                is_understood(word)
        # Whoever runs it is told of every variable that must be set, in the words of its place.
        for variable in re.findall(r"\$\{(\w+):\?", file.read_text()):
            assert variable in (DEPLOY / "mynah.toml").read_text() + (DEPLOY / "mynah.prod.toml").read_text(), variable


def dockerfiles():
    linter = Path(sysconfig.get_path("scripts"), "hadolint")
    for file in sorted(DEPLOY.rglob("Dockerfile")):
        run(linter, "--failure-threshold", "info", file)
    text = (DEPLOY / "Dockerfile").read_text()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
    minimum = re.search(r'rust-version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text()).group(1)
    assert f"FROM rust:{minimum}-alpine" in text, "another Rust than Cargo.toml wants"
    commands = [json.loads(found) for found in re.findall(r"^(?:ENTRYPOINT|HEALTHCHECK .*CMD) (\[.*\])$", text, re.MULTILINE)]
    assert len(commands) == 2, commands
    for program, *arguments in commands:
        assert program == "/usr/local/bin/mynah", program
        is_understood(arguments)


def configurations():
    with tempfile.TemporaryDirectory() as directory:
        chart = Path(directory, "chart.toml")
        chart.write_text(yaml.safe_load((CHART / "values.yaml").read_text())["config"])
        for file in [DEPLOY / "mynah.toml", DEPLOY / "mynah.prod.toml", chart]:
            names = re.findall(r"\$\{(\w+)\}", file.read_text())
            run(BINARY, "check", "--config", file, cwd=directory, env={name: f"value-of-{name}" for name in names})


def unit():
    text = (DEPLOY / "mynah.service").read_text()
    commands = re.findall(r"^Exec(?:Start|StartPre)=(.+)$", text, re.MULTILINE)
    assert len(commands) == 2, commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "/usr/local/bin/mynah", program
        is_understood(arguments)
    if shutil.which("systemd-analyze") is None:
        print("        (systemd-analyze is not installed)")
        return
    with tempfile.TemporaryDirectory() as directory:
        # What is verified must name programs that are there.
        here = Path(directory, "mynah.service")
        here.write_text(text.replace("/usr/local/bin/mynah", str(BINARY)))
        said = run("systemd-analyze", "verify", "--man=no", here)
        assert not said, said
        said = run("systemd-analyze", "security", "--offline=true", "--no-pager", here)
    exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", said).group(1))
    assert exposure <= MOST_EXPOSED, f"an exposure of {exposure}"


def chart(name):
    def check():
        helm_python.disable_logging()
        values = VALUES[name]
        report = helm_python.lint(str(CHART), values, strict=True, kube_version=KUBERNETES)
        # 1 is advice: that the chart has no icon.
        worse = [message for message in report["messages"] if message["severity"] > 1]
        assert not report["errors"] and not worse, report
        rendered = helm_python.Chart.load(str(CHART)).render(values, name="release", namespace="space")
        texts = [text for path, text in rendered.items() if path.endswith(".yaml")]
        documents = [document for text in texts for document in yaml.safe_load_all(text) if document]
        kinds = {document["kind"] for document in documents}
        assert kinds == KINDS[name], kinds
        deployment = next(document for document in documents if document["kind"] == "Deployment")
        pod = deployment["spec"]["template"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        [container] = pod["spec"]["containers"]
        is_understood(container["args"])
        assert container["securityContext"]["readOnlyRootFilesystem"] and pod["spec"]["securityContext"]["runAsNonRoot"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}, mounted

    check.__name__ = f"chart: {name}"
    return check


if __name__ == "__main__":
    sys.exit(main())
