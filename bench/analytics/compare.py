"""The same Parquet files through Eyeline's lake, through DuckDB and through chDB (ClickHouse), in turns, in CPU seconds.

python compare.py PROGRAM FOLDER [ROUNDS]: PROGRAM is the example `bench_analytics`, FOLDER what it has written.
"""

import json
import statistics
import subprocess
import sys

QUERIES = {
    "counts": """SELECT sum(n + s) FROM (
        SELECT date_trunc('day', "timestamp") AS day, category, name, count(*) AS n, count(DISTINCT session_id) AS s
        FROM events GROUP BY ALL)""",
    "features": """SELECT sum(n + s) FROM (
        SELECT category, name, count(*) AS n, count(DISTINCT session_id) AS s FROM events GROUP BY ALL)""",
    "transitions": """SELECT sum(n) FROM (
        SELECT before, kind, count(*) AS n FROM (
            SELECT (category, name) AS kind, lag((category, name)) OVER visit AS before,
                   "timestamp" - lag("timestamp") OVER visit AS silence
            FROM events WINDOW visit AS (PARTITION BY session_id ORDER BY "timestamp", "partition", "offset"))
        WHERE before <> kind AND silence <= INTERVAL 30 MINUTE GROUP BY ALL)""",
    "retention": """SELECT sum(n) FROM (
        SELECT cohort, week, count(*) AS n FROM (
            SELECT DISTINCT visitor_id, date_trunc('week', "timestamp") AS week,
                   min(date_trunc('week', "timestamp")) OVER (PARTITION BY visitor_id) AS cohort
            FROM events WHERE visitor_id IS NOT NULL
              AND "timestamp" >= TIMESTAMPTZ '2026-11-02 00:00:00+00'
              AND "timestamp" < TIMESTAMPTZ '2026-11-16 00:00:00+00') GROUP BY ALL)""",
    "funnel": """SELECT count(DISTINCT (session_id, visit)) FROM (
        SELECT *, max(CASE WHEN name = 'feature-1' THEN begun END) OVER before AS begun_until_second FROM (
            SELECT *, max(CASE WHEN name = 'feature-0' THEN "timestamp" END) OVER before AS begun FROM (
                SELECT session_id, name, "timestamp", row_number() OVER along AS place, sum(is_new) OVER along AS visit
                FROM (
                    SELECT *, CASE WHEN "timestamp" - lag("timestamp") OVER along <= INTERVAL 30 MINUTE THEN 0 ELSE 1
                        END AS is_new
                    FROM events WINDOW along AS (PARTITION BY session_id ORDER BY "timestamp", "partition", "offset"))
                WINDOW along AS (PARTITION BY session_id ORDER BY "timestamp", "partition", "offset"))
            WINDOW before AS (PARTITION BY session_id, visit ORDER BY place
                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
        WINDOW before AS (PARTITION BY session_id, visit ORDER BY place
                          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
        WHERE name = 'feature-2' AND "timestamp" - begun_until_second <= INTERVAL 30 MINUTE""",
    "gallery": """SELECT sum(views) FILTER (sets = 3) FROM (
        SELECT data->>'image_id' AS image, (data->>'position')::INT AS position,
               date_trunc('day', "timestamp") AS day, grouping(image, position, day) AS sets,
               count(*) FILTER (name = 'view') AS views, count(*) FILTER (name = 'click') AS clicks
        FROM events WHERE category = 'gallery'
          AND data->>'gallery_id' = '00000000-0000-0000-0000-000000000002'
        GROUP BY GROUPING SETS ((image), (position), (day)))""",
}

# The very same query to both.
SQL = {
    "sql: counts by day and type": """SELECT sum(n) AS "check" FROM (
        SELECT date_trunc('day', "timestamp") AS day, category, name, count(*) AS n FROM events GROUP BY 1, 2, 3)""",
    "sql: sessions by day": """SELECT sum(s) AS "check" FROM (
        SELECT date_trunc('day', "timestamp") AS day, count(DISTINCT session_id) AS s FROM events GROUP BY 1)""",
    "sql: a gallery's 50 images with the most views": """SELECT sum(n) AS "check" FROM (
        SELECT data->>'image_id' AS image, count(*) AS n FROM events
        WHERE category = 'gallery' AND name = 'view' AND data->>'gallery_id' = '00000000-0000-0000-0000-000000000002'
        GROUP BY 1 ORDER BY n DESC LIMIT 50)""",
}

# The same in ClickHouse's words.
CHDB = {
    "counts": """SELECT sum(n + s) FROM (
        SELECT toStartOfDay("timestamp") AS day, category, name, count() AS n, uniqExact(session_id) AS s
        FROM events GROUP BY ALL)""",
    "features": """SELECT sum(n + s) FROM (
        SELECT category, name, count() AS n, uniqExact(session_id) AS s FROM events GROUP BY ALL)""",
    "transitions": """SELECT sum(n) FROM (
        SELECT before, kind, count() AS n FROM (
            SELECT (category, name) AS kind, lagInFrame((category, name)) OVER visit AS before,
                   "timestamp" - lagInFrame("timestamp") OVER visit AS silence
            FROM events WINDOW visit AS (PARTITION BY session_id ORDER BY "timestamp", "partition", "offset"
                                         ROWS BETWEEN 1 PRECEDING AND CURRENT ROW))
        WHERE before <> kind AND silence <= 1800 GROUP BY ALL)""",
    "retention": """SELECT sum(n) FROM (
        SELECT cohort, week, count() AS n FROM (
            SELECT DISTINCT visitor_id, toStartOfWeek("timestamp", 1) AS week,
                   min(toStartOfWeek("timestamp", 1)) OVER (PARTITION BY visitor_id) AS cohort
            FROM events WHERE visitor_id IS NOT NULL
              AND "timestamp" >= toDateTime('2026-11-02 00:00:00', 'UTC')
              AND "timestamp" < toDateTime('2026-11-16 00:00:00', 'UTC')) GROUP BY ALL)""",
    "funnel": """SELECT uniqExact((session_id, visit)) FROM (
        SELECT *, max(CASE WHEN name = 'feature-1' THEN begun END) OVER before AS begun_until_second FROM (
            SELECT *, max(CASE WHEN name = 'feature-0' THEN "timestamp" END) OVER before AS begun FROM (
                SELECT session_id, name, "timestamp", row_number() OVER along AS place, sum(is_new) OVER along AS visit
                FROM (
                    SELECT *, if("timestamp" - lagInFrame("timestamp") OVER along <= 1800, 0, 1) AS is_new
                    FROM (SELECT session_id, name, "timestamp", "partition", "offset" FROM events)
                    WINDOW along AS (PARTITION BY session_id ORDER BY "timestamp", "partition", "offset"
                                     ROWS BETWEEN 1 PRECEDING AND CURRENT ROW))
                WINDOW along AS (PARTITION BY session_id ORDER BY "timestamp", "partition", "offset"
                                 ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW))
            WINDOW before AS (PARTITION BY session_id, visit ORDER BY place
                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
        WINDOW before AS (PARTITION BY session_id, visit ORDER BY place
                          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
        WHERE name = 'feature-2' AND "timestamp" - begun_until_second <= 1800""",
    "gallery": """SELECT sumIf(views, sets = 3) FROM (
        SELECT JSONExtractString(data, 'image_id') AS image, JSONExtractInt(data, 'position') AS position,
               toStartOfDay("timestamp") AS day, grouping(image, position, day) AS sets,
               countIf(name = 'view') AS views, countIf(name = 'click') AS clicks
        FROM events WHERE category = 'gallery'
          AND JSONExtractString(data, 'gallery_id') = '00000000-0000-0000-0000-000000000002'
        GROUP BY GROUPING SETS ((image), (position), (day)))""",
    "sql: counts by day and type": """SELECT sum(n) FROM (
        SELECT toStartOfDay("timestamp") AS day, category, name, count() AS n FROM events GROUP BY 1, 2, 3)""",
    "sql: sessions by day": """SELECT sum(s) FROM (
        SELECT toStartOfDay("timestamp") AS day, uniqExact(session_id) AS s FROM events GROUP BY 1)""",
    "sql: a gallery's 50 images with the most views": """SELECT sum(n) FROM (
        SELECT JSONExtractString(data, 'image_id') AS image, count() AS n FROM events
        WHERE category = 'gallery' AND name = 'view'
          AND JSONExtractString(data, 'gallery_id') = '00000000-0000-0000-0000-000000000002'
        GROUP BY 1 ORDER BY n DESC LIMIT 50)""",
}

# Each question is asked in a process of its own, as ours is; what starting takes is not counted.
MEASURED = """
cpu = time.process_time() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"cpu": cpu, "check": int(check), "peak_mib": peak}))
"""
DUCKDB_PROGRAM = (
    """
import json, resource, sys, time, duckdb
con = duckdb.connect(config={"threads": 2})
con.execute("SET enable_progress_bar = false")
con.execute("SET TimeZone = 'UTC'")
con.execute("CREATE VIEW events AS SELECT * FROM read_parquet('" + sys.argv[1] + "/*.parquet')")
con.execute("SELECT json_extract_string('{}', 'a')")
begin = time.process_time()
check = con.execute(sys.argv[2]).fetchone()[0]
"""
    + MEASURED
)
CHDB_PROGRAM = (
    """
import json, resource, sys, time, chdb
chdb.query("SELECT JSONExtractString('{}', 'a')")
query = sys.argv[2].replace("FROM events", "FROM file('" + sys.argv[1] + "/*.parquet', Parquet)")
begin = time.process_time()
check = str(chdb.query(query + " SETTINGS max_threads = 2, session_timezone = 'UTC'", "TabSeparated"))
"""
    + MEASURED
)


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command[:3]} failed: {done.stderr}")
    return json.loads(done.stdout)


def main():
    program, folder = sys.argv[1], sys.argv[2]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    others = {"DuckDB": (DUCKDB_PROGRAM, {**QUERIES, **SQL}), "chDB": (CHDB_PROGRAM, CHDB)}
    columns = ["question", "Eyeline CPU s"]
    columns += [column for name in others for column in (f"{name} CPU s", "ratio")]
    columns += [f"{name} peak MiB" for name in ("Eyeline", *others)]
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for question in ["counts", "features", "transitions", "paths", "funnel", "retention", "gallery", *SQL]:
        asked = ["sql", folder, SQL[question]] if question in SQL else ["ask", folder, question]
        commands = {"Eyeline": [program, *asked]}
        for name, (source, queries) in others.items():
            if question in queries:
                commands[name] = [sys.executable, "-c", source, folder, queries[question]]
        answers = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                answers[name].append(run(command))
        checks = {answer["check"] for of_one in answers.values() for answer in of_one}
        if len(checks) != 1:
            sys.exit(f"{question}: the answers differ: {checks}")
        cpu = {name: statistics.median(answer["cpu"] for answer in of_one) for name, of_one in answers.items()}
        cells = [question, f"{cpu['Eyeline']:.2f}"]
        for name in others:
            cells += [f"{cpu[name]:.2f}", f"{cpu['Eyeline'] / cpu[name]:.2f}"] if name in cpu else ["", ""]
        for name in ("Eyeline", *others):
            cells.append(str(max(answer["peak_mib"] for answer in answers[name])) if name in cpu else "")
        print("| " + " | ".join(cells) + " |", flush=True)


main()
