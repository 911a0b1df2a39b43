"""Functions in SQL that runs: those that are known only compute; any other may do whatever its author likes."""

import re

from cicd.core.sql_tokens import tokens

# What runs expressions at once. A definition, such as that of a function or a view, runs nothing.
RUNS = re.compile(
    r"select|with|insert|update|delete|merge|values|refresh|create (?:\w+ )*table .*\bas\b|alter table"
    r"|create (?:unique )?index|create materialized"
)
# Functions of PostgreSQL that only compute, by its documentation's chapter 9, and words before a parenthesis.
WORDS = """
abs age any_value array array_agg array_append array_cat array_fill array_length array_position array_prepend
array_remove array_replace array_to_json array_to_string avg bit_length bool_and bool_or btrim cardinality ceil
ceiling char_length character_length chr clock_timestamp coalesce concat concat_ws convert count current_date
current_setting date_bin date_part date_trunc decode dense_rank digest div encode every exp extract first_value
floor format gen_random_bytes gen_random_uuid generate_series greatest hstore initcap json_agg json_array_elements
json_array_elements_text json_build_array json_build_object json_each json_each_text json_extract_path
json_extract_path_text json_object json_object_agg json_object_keys jsonb_agg jsonb_array_elements
jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text
jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_object_keys
jsonb_pretty jsonb_set jsonb_strip_nulls jsonb_typeof justify_days justify_hours justify_interval lag last_value
lastval lead least left length ln localtime localtimestamp log lower lpad ltrim make_date make_interval make_time
make_timestamp make_timestamptz max md5 min mod mode nextval now nth_value nullif num_nonnulls num_nulls
octet_length overlay percent_rank percentile_cont percentile_disc pg_advisory_lock pg_advisory_unlock
pg_advisory_xact_lock pg_get_serial_sequence pg_sleep pg_typeof position power quote_ident quote_literal quote_nullable
random rank regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table repeat replace
reverse right round row row_number row_to_json rpad rtrim setseed setval setweight sha224 sha256 sha384
sha512 sign split_part sqrt starts_with statement_timestamp stddev strict string_agg string_to_array strpos
substr substring sum timeofday timezone to_char to_date to_json to_jsonb to_number to_regclass to_timestamp to_tsquery
to_tsvector transaction_timestamp translate trim trunc txid_current unnest upper uuid_generate_v1
uuid_generate_v4 uuidv4 uuidv7 variance width_bucket xmlelement
all and any as between by case cast check collate column conflict cube default do else exclude exists filter foreign
from group grouping having identity if in inherits interval into is join key lateral like limit materialized not nothing
nulls of on only or order over overlaps partition primary references returning rollup select set sets similar some
distinct table then to tuple union unique update using values when where window with within without
bigint bit box bpchar bytea char character date dec decimal double float geography geometry halfvec inet int
integer json jsonb money nchar numeric precision real smallint sparsevec text time timestamp timestamptz timetz
uuid varbit varchar vector varying zone
btree brin gin gist hash hnsw include ivfflat spgist
"""
KNOWN = frozenset(WORDS.split())
# After these a name with a parenthesis is a table or a query with its columns, or a type.
NAMED = {"into", "table", "references", "with", "recursive", "exists", "as", "constraint"}


def unknown_calls(statement: str) -> list[str]:
    """Functions that a statement calls and that are not known to only compute.

    Args:
        statement: as `statements` gives it.
    """
    if not RUNS.match(statement):
        return []
    named = NAMED | ({"on", "only"} if re.match(r"create (unique )?index", statement) else set())
    found, words = list[str](), [token for token in tokens(statement) if token[0] != "space"]
    for index, (kind, _) in enumerate(words):
        if kind == "open" and index and words[index - 1][0] in ("word", "name"):
            start = _begin(words, index - 1)
            name = "".join(text for _, text in words[start:index])
            # A quoted name may be anybody's: no keyword, and no function of PostgreSQL, needs the quotes.
            plain = name.removeprefix("pg_catalog.")
            if plain not in KNOWN and not (start and words[start - 1][1] in named):
                found.append(name)
    return found


def _begin(words: list[tuple[str, str]], last: int) -> int:
    """Where a name with its schema begins."""
    while last >= 2 and words[last - 1][1] == "." and words[last - 2][0] in ("word", "name"):
        last -= 2
    return last
