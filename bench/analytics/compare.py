"""The same Parquet files through Eyeline's lake and through DuckDB, in turns, in CPU seconds.

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

# Asked in a process of its own, as the other one is; what starting takes is not counted.
DUCKDB = """
import json, resource, sys, time, duckdb
con = duckdb.connect(config={"threads": 2})
con.execute("SET enable_progress_bar = false")
con.execute("SET TimeZone = 'UTC'")
con.execute("CREATE VIEW events AS SELECT * FROM read_parquet('" + sys.argv[1] + "/*.parquet')")
con.execute("SELECT json_extract_string('{}', 'a')")
begin = time.process_time()
check = con.execute(sys.argv[2]).fetchone()[0]
cpu = time.process_time() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"cpu": cpu, "check": int(check), "peak_mib": peak}))
"""


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command[:3]} failed: {done.stderr}")
    return json.loads(done.stdout)


def main():
    program, folder = sys.argv[1], sys.argv[2]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    print("| question | Eyeline CPU s | DuckDB CPU s | ratio | Eyeline peak MiB | DuckDB peak MiB |")
    print("|---|---|---|---|---|---|")
    for question in ["counts", "features", "transitions", "paths", "funnel", "retention", "gallery", *SQL]:
        query = SQL.get(question, QUERIES.get(question))
        command = [program, "sql", folder, query] if question in SQL else [program, "ask", folder, question]
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(run(command))
            if query:
                theirs.append(run([sys.executable, "-c", DUCKDB, folder, query]))
        checks = {answer["check"] for answer in ours + theirs}
        if len(checks) != 1:
            sys.exit(f"{question}: the answers differ: {checks}")
        cpu = statistics.median(answer["cpu"] for answer in ours)
        peak = max(answer["peak_mib"] for answer in ours)
        if query:
            other = statistics.median(answer["cpu"] for answer in theirs)
            other_peak = max(answer["peak_mib"] for answer in theirs)
            print(f"| {question} | {cpu:.2f} | {other:.2f} | {cpu / other:.2f} | {peak} | {other_peak} |")
        else:
            print(f"| {question} | {cpu:.2f} | | | {peak} | |")
        sys.stdout.flush()


main()
