"""What the reader of pipeline files accepts, and what it says about the rest."""

import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from adapters.pipeline_file import load, schema
from domain.errors import PipelineFileError

ROOT = Path(__file__).parents[3]
FILES = ["demo/ad_cost/pipeline.yaml", "demo/ad_cost/pipeline-dev.yaml", "tests/fixtures/cpu_load/pipeline.yaml"]
GOOD = """\
pipeline: ad-cost
environment: prod
owner: data-platform
code: ./src
config: {source: data/, since: 2011-07-01, answer: yes}
stages:
  - name: extract
    run: [python, -m, stages.extract]
  - name: load
    run: [python, -m, stages.load]
    needs:
      - extract
    uses: [source]
"""


def refusal(text: str) -> str:
    with pytest.raises(PipelineFileError) as refused:
        load(text, file="p.yaml")
    return str(refused.value)


@pytest.mark.parametrize("path", FILES)
def test_the_files_we_ship_are_good(path: str):
    """Each pipeline of the repository loads, and fits the JSON Schema."""
    text = (ROOT / path).read_text(encoding="utf-8")
    load(text, file=path)
    jsonschema.Draft202012Validator(yaml.safe_load(schema())).validate(yaml.safe_load(text))


def test_the_shipped_schema_is_what_the_reader_checks():
    """After a change of the spec, write it again with `adapters.pipeline_file.write_schema`."""
    assert (ROOT / "docs/pipeline.schema.json").read_text(encoding="utf-8") == schema()


def test_words_are_what_they_seem():
    """A date and `yes` are text, as in JSON."""
    assert load(GOOD, file="p.yaml").config == {"source": "data/", "since": "2011-07-01", "answer": "yes"}


def test_json_is_a_pipeline_file_too():
    """What the reader wrote as JSON it reads as YAML."""
    spec = load(GOOD, file="p.yaml")
    assert load(spec.model_dump_json(), file="p.json") == spec


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("owner: data-platform", "owner: !!python/object/apply:os.system [id]", "p.yaml:3: tags are not allowed"),
        ("owner: data-platform", "owner: !own x", "p.yaml:3: tags are not allowed"),
        ("code: ./src", "code: &here ./src", "p.yaml:4: anchors and aliases are not allowed"),
        ("code: ./src", "code: *here", "p.yaml:4: anchors and aliases are not allowed"),
        ("code: ./src", "code: ./src\nowner: me", "p.yaml:5: owner: the key stands here twice"),
        ("    uses: [source]", "    uses: [source]\n    uses: []", "p.yaml:14: stages.1.uses: the key stands here twice"),
        ("code: ./src", "\tcode: ./src", "p.yaml:4: is not YAML: found character '\\t'"),
        ("code: ./src", 'code: "\\Uffffffff"', "p.yaml:4: is not YAML: an escape names no character"),
        ("code: ./src", "code: ./s\0rc", "p.yaml:4: holds the character U+0000"),
        ("code: ./src", "code: ./s\ud800rc", "p.yaml:4: holds the character U+D800"),
        ("code: ./src", 'code: "./s\\0rc"', "p.yaml:4: code: must not hold NUL"),
        ("code: ./src", "code: 12", "p.yaml:4: code: Input should be a valid string"),
        ("code: ./src", "1: x", "p.yaml:4: a key must be text"),
        ("code: ./src", "[a, b]: x", "p.yaml:4: a key must be text"),
        ("code: ./src", "code: ./src\n<<: {owner: me}", "p.yaml:5: <<: unknown field"),
        ("code: ./src", "", "p.yaml:1: code: is required"),
        ("code: ./src", "code: [unclosed", "p.yaml:5: is not YAML:"),
        ("source: data/", "source: 1.0e+999", "p.yaml:5: config.source: holds a number that is not finite"),
        ("source: data/", "source: 9223372036854775808", "p.yaml:5: config.source: holds a number beyond"),
        ("source: data/", f"source: {'9' * 5000}", "p.yaml:5: config.source: the number is too long"),
        ("source: data/", 'source: "\\ud800"', "p.yaml:5: config.source: holds a lone surrogate"),
        ("      - extract", "      - extrakt", "p.yaml:12: stages.1.needs.0: no stage has this name"),
        ("      - extract", "      - load", "p.yaml:12: stages.1.needs.0: a stage cannot need itself"),
        ("uses: [source]", "uses: [sauce]", "p.yaml:13: stages.1.uses.0: config has no such key"),
        ("uses: [source]", "timeout: 90", "p.yaml:13: stages.1.timeout: expected a duration like"),
        ("uses: [source]", "retry:\n      attempts: 0", "p.yaml:14: stages.1.retry.attempts:"),
        ("uses: [source]", "effect: probe", "p.yaml:9: stages.1.probe: a stage whose effect is probe needs"),
        ("uses: [source]", "user: root", "p.yaml:13: stages.1.user: unknown field"),
        (GOOD, "", "p.yaml:1: the file is empty"),
        (GOOD, "- a\n- b\n", "p.yaml:1: expected a mapping"),
        (GOOD, GOOD + "---\nmore: 1\n", "p.yaml:14: is not YAML: but found another document"),
        (GOOD, "a: " + "[" * 5000, "p.yaml:1: nested deeper than 20"),
        (GOOD, "# " + "x" * 262_144, "p.yaml:1: the file is larger than 262144 bytes"),
    ],
)
def test_a_bad_file_is_refused_with_line_and_field(old: str, new: str, sentence: str):
    """The first mistake stands first, with the line where a person finds it."""
    assert refusal(GOOD.replace(old, new, 1)).startswith(sentence), refusal(GOOD.replace(old, new, 1))


def test_laughter_is_cut_short():
    """A file that would unfold into a billion words is refused at its first anchor."""
    laughs = "".join(f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]\n" for at in range(1, 10))
    assert refusal("a0: &a0 lol\n" + laughs) == "p.yaml:1: anchors and aliases are not allowed"


def test_every_mistake_is_named_in_the_order_of_the_file():
    """Two mistakes are two lines."""
    text = GOOD.replace("owner: data-platform", "owner: Me!").replace("uses: [source]", "uses: [sauce, data]")
    first = refusal(text)
    second = refusal(text.replace("Me!", "me"))
    assert [line.split(" ")[0] for line in first.splitlines()] == ["p.yaml:3:"]
    assert second == ("p.yaml:13: stages.1.uses.0: config has no such key\np.yaml:13: stages.1.uses.1: config has no such key")


def test_a_list_that_only_holds_a_mistake_is_none():
    """Its one item is refused; that it is missing then is not another mistake."""
    text = "pipeline: p\nenvironment: dev\nowner: me\ncode: .\nstages:\n  - name: a\n    run: [x]\n    timeoutt: 1s\n"
    assert refusal(text) == "p.yaml:8: stages.0.timeoutt: unknown field"


def test_the_refusal_points_into_the_document():
    """The pointer is the JSON pointer of the first mistake."""
    with pytest.raises(PipelineFileError) as refused:
        load(GOOD.replace("extract]", "extract, 5]"), file="p.yaml")
    assert refused.value.pointer == "/stages/0/run/3"


def test_the_largest_file_is_read_in_bounded_time():
    """A file of the largest size full of small nodes is answered within seconds."""
    text = GOOD.replace("config:", "config: {a: [" + "1," * 60_000 + "]}\nnothing:")
    started = time.monotonic()
    assert "p.yaml" in refusal(text)
    assert time.monotonic() - started < 10
