"""Our reading of SQL held against PostgreSQL's own scanner and parser, as pglast has them."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pglast.parser import ParseError, parse_sql_json, scan

from cicd.core.sql_source import read_sql
from cicd.core.sql_tokens import Unended, tokens

# What quotes, comments and names are made of, and what is like it.
SIGNS = r"""' '' E' e' \ \' $$ $a$ $é$ $1 $a -- /* */ ; " "" U&' U&" N' x' B' 1 1e5 0x1F 1_0 . a é ( ) + * / @ -"""
SPACES = ["\n", "\r", "\t", "\f", "\v", " ", "\u00a0", "\x1c", "\x85", "; drop table t;"]
PIECES = st.sampled_from([*SIGNS.split(), *SPACES])


@settings(max_examples=600)
@given(st.lists(PIECES, max_size=14).map("".join))
@example("select 1 -- a\rdrop table t;")
@example("select 1 as é\u00a0$$; drop table t; --$$")
@example("select $é$ ' $é$; drop table t; select $é$ ' $é$")
@example("select E'a'\n'\\''; drop table t; select E'a'\n'\\''")
def test_statements_end_where_postgresql_ends_them(sql: str) -> None:
    try:
        expected = [token.start for token in scan(sql) if token.name == "ASCII_59"]
        found, place = list[int](), 0
        for kind, text in tokens(sql):
            found += [place] if kind == "end" else []
            place += len(text)
    except (ParseError, Unended):
        return  # PostgreSQL refuses it all, or we say that it cannot be read
    assert found == expected


TABLE = st.sampled_from(["t", "T", '"t"', '"T"', "public.t", "app.t", '"x on t"', '"x;y"', "u", "public.u"])
NAME = st.sampled_from(["a", "b", '"default"', '"drop table"', '"a;b"'])
CALL = st.sampled_from(["now()", "coalesce(a, 1)", "lower(a)", "purge()", "app.lower(a)", '"count"(1)', '"select"(1)'])
VALUE = st.one_of(st.sampled_from(["1", "'x'", r"E'a\'b;c'", "$$x;'y$$", "a::text"]), CALL)
TYPE = st.sampled_from(["int", "text", "numeric(10, 2)", "bigserial"])


def text(pattern: str, **parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.fixed_dictionaries(parts).map(lambda chosen: pattern.format(**chosen))


def maybe(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(["", words])


QUERY = st.one_of(
    text("select {v} from {t}", v=VALUE, t=TABLE),
    text("select * from {t} where a = {v} for update", v=VALUE, t=TABLE),
    text("with x as (delete from {t} returning *) select * from x", t=TABLE),
    text("select {v} into {t}", v=VALUE, t=TABLE),
    text("values ({v})", v=VALUE),
)
DEFINITION = st.sampled_from(
    ["", " not null", " default 1", " not null default 1", " default purge()", " generated always as (purge()) stored"]
)
ACTION = st.one_of(
    text("add column {e}{n} {y}{d}", e=maybe("if not exists "), n=NAME, y=TYPE, d=DEFINITION),
    text("drop column {n}", n=NAME),
    text("alter column {n} type {y} using {v}", n=NAME, y=TYPE, v=VALUE),
    text("alter {n} set default {v}", n=NAME, v=VALUE),
    text("alter {n} set not null", n=NAME),
    text("rename to {n}", n=NAME),
    text("add constraint c check (a = {v})", v=VALUE),
    st.sampled_from(
        ["set schema app", "enable row level security", "detach partition u", "owner to x", "set unlogged"]
    ),
)
OTHERS = st.sampled_from(
    r"""truncate t;drop owned by x;drop type m cascade;drop sequence s;drop view v;do 'drop table t';call p();execute p
    prepare p as delete from t;explain analyze delete from t;copy t from program 'rm';alter system set x = 1
    alter foreign table t drop column a;alter type m drop attribute a;alter extension e drop table t
    alter table all in tablespace x set tablespace y;commit prepared 'x';declare c cursor for select purge()
    set search_path = app;set "standard_conforming_strings" = off;create view v as select purge()
    comment on table t is 'drop'
    create rule r as on insert to t do instead delete from u;create policy p on t as restrictive using (false)
    create function f() returns int language sql as $f$ drop table t $f$;grant select on t to u
    merge into t using u on t.a = u.a when matched then delete""".replace("\n", ";").split(";")
).map(str.strip)
STATEMENT = st.one_of(
    QUERY,
    OTHERS,
    text("create {k}table {e}{t} (a {y})", k=maybe("temp "), e=maybe("if not exists "), t=TABLE, y=TYPE),
    text("create table {t} as {q}", t=TABLE, q=QUERY),
    text("create {u}index {n} on {t} (lower(a))", u=maybe("unique "), n=st.sampled_from(["i", '"on u"']), t=TABLE),
    text("insert into {t} (a) {q}", t=TABLE, q=QUERY),
    text("insert into {t} values ({v}) on conflict (a) do update set a = 1", t=TABLE, v=VALUE),
    text("update {t} set {n} = {v}", t=TABLE, n=NAME, v=VALUE),
    text("delete from {t}", t=TABLE),
    text("drop table {t}", t=TABLE),
    text("alter table {t} {a}", t=TABLE, a=ACTION),
    text("alter table {t} {a}, {b}", t=TABLE, a=ACTION, b=ACTION),
)
NOISE = st.sampled_from(["", " ", "\n", "/* ; ' */", "-- x ;\n", "-- '\r", "/* /* $$ */ ' */"])
KNOWN = {"now", "coalesce", "lower"}
# Statements that are harmful whatever they are about.
HARMFUL = set(
    """TruncateStmt DropOwnedStmt DoStmt CallStmt ExecuteStmt PrepareStmt ExplainStmt CopyStmt AlterSystemStmt RuleStmt
    AlterExtensionContentsStmt AlterTableMoveAllStmt DeclareCursorStmt MergeStmt DropStmt AlterTypeStmt""".split()  # noqa: SIM905
)
HARMFUL_ACTIONS = {"AT_DropColumn", "AT_AlterColumnType", "AT_SetNotNull", "AT_AddConstraint", "AT_EnableRowSecurity"}
HARMFUL_ACTIONS |= {"AT_DetachPartition", "AT_SetUnLogged"}
Tree = dict[str, Any]


def table_of(relation: Tree) -> str:
    schema = relation.get("schemaname", "public")
    return f"{schema}.{relation['relname']}"


def nodes(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every node below, with its kind, that runs with the statement."""
    for name, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        if isinstance(name, str):
            yield name, value
        if name not in ("ViewStmt", "CreateFunctionStmt"):
            yield from nodes(value)


def harms(kind: str, tree: Tree, made: set[str]) -> bool:
    """Whether PostgreSQL's parser sees harm in a statement. `made`: tables that are made before it."""
    about = table_of(tree["relation"]) if "relation" in tree else ""
    below = list(nodes({kind: tree}))
    calls = [
        [part["String"]["sval"] for part in node["funcname"]]
        for name, node in below
        if name == "FuncCall" and not (kind == "AlterTableStmt" and "AT_ColumnDefault" in str(tree))
    ]
    if any(len(call) > 1 or call[0] not in KNOWN for call in calls) or kind in HARMFUL:
        return True
    if kind == "CreatePolicyStmt":
        return not tree.get("permissive")
    if kind == "VariableSetStmt":
        return bool(tree["name"] == "standard_conforming_strings")
    if kind == "TransactionStmt":
        return bool(tree["kind"] == "TRANS_STMT_COMMIT_PREPARED")
    if "intoClause" in tree or any(name == "DeleteStmt" and kind != name for name, _ in below):
        return True
    if kind == "AlterTableStmt":
        return about not in made and alters_harmfully(about, tree["cmds"], made)
    updates = "onConflictClause" in tree or (kind == "IndexStmt" and tree.get("unique"))
    return about not in made and (bool(updates) or kind in ("DeleteStmt", "RenameStmt", "AlterObjectSchemaStmt"))


def alters_harmfully(table: str, actions: list[Tree], made: set[str]) -> bool:
    """Whether an action of ALTER TABLE does harm. Columns that the text itself adds are in `made` from then on."""
    for action in actions:
        told = action["AlterTableCmd"]
        column = told.get("name") or told.get("def", {}).get("ColumnDef", {}).get("colname", "")
        if told["subtype"] in HARMFUL_ACTIONS and f"{table}.{column}" not in made:
            return True
        if told["subtype"] == "AT_AddColumn" and not told.get("missing_ok"):
            made.add(f"{table}.{column}")
    return False


def harmful(sql: str) -> bool:
    """Whether PostgreSQL's parser sees harm in a text. Raises ParseError."""
    made, moved = set[str](), False
    for statement in json.loads(parse_sql_json(sql))["stmts"]:
        ((kind, tree),) = statement["stmt"].items()
        if harms(kind, tree, made):
            return True
        moved |= kind == "VariableSetStmt"
        if kind in ("RenameStmt", "AlterObjectSchemaStmt", "VariableSetStmt"):
            made.clear()
        made_here = tree.get("relation") or tree.get("into", {}).get("rel") if kind.startswith("Create") else None
        if made_here and not tree.get("if_not_exists") and not (moved and "schemaname" not in made_here):
            made |= {table_of(made_here)} if made_here["relpersistence"] == "p" else set()
    return False


@settings(max_examples=600)
@given(st.lists(st.tuples(NOISE, STATEMENT, NOISE), min_size=1, max_size=4), st.booleans())
def test_what_postgresql_s_parser_sees_harm_in_is_never_held_harmless(
    parts: list[tuple[str, str, str]], upper: bool
) -> None:
    sql = ";".join(before + (one.upper() if upper and '"' not in one else one) + after for before, one, after in parts)
    try:
        harm = harmful(sql)
    except ParseError:
        return
    changes = read_sql(sql)
    assert not harm or not all(change.adds for change in changes), changes
