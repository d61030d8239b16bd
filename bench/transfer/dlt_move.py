"""dlt as a peer of bench:transfer, set up the fastest way that it documents: Arrow from connectorx or DuckDB, Parquet or CSV into the destination.

Usage: dlt_move.py SOURCE_JSON DATABASE_FILE FOLDER | SOURCE_JSON POSTGRES_URL, as the floors' scripts; prints one JSON line.
A source with a `cursor` goes on behind what has been moved before, which dlt remembers in `home`, and is merged by `key`.
"""

import json
import os
import resource
import shutil
import sys
import tempfile
import time

import dlt
from dlt.common.configuration.specs import AwsCredentials

MESSAGES_A_BATCH = 5_000


def rows_of(source):
    if "table" in source:
        return mysql_rows(source)
    if "bucket" in source:
        return object_rows(source)
    return message_rows(source)


def mysql_rows(source):
    from dlt.sources.sql_database import sql_table

    login = f"{source['user']}:{source['password']}@{source['host']}:{source['port']}/{source['database']}"
    return sql_table(
        credentials=f"mysql+pymysql://{login}",
        table=source["table"],
        backend="connectorx",
        chunk_size=100_000,
        reflection_level="full_with_precision",
        backend_kwargs={"conn": f"mysql://{login}", "return_type": "arrow_stream"},
        incremental=dlt.sources.incremental(source["cursor"]) if "cursor" in source else None,
    )


def object_rows(source):
    from dlt.sources.filesystem import filesystem, read_csv_duckdb, read_parquet

    files = filesystem(
        bucket_url=f"s3://{source['bucket']}/{source['prefix'].rstrip('/')}",
        file_glob=f"*.{source['format']}",
        credentials=AwsCredentials(
            aws_access_key_id=source["accessKeyId"],
            aws_secret_access_key=source["secretAccessKey"],
            endpoint_url=source["endpoint"],
            region_name=source["region"],
        ),
    )
    if source["format"] == "parquet":
        return files | read_parquet(chunksize=100_000, use_pyarrow=True)
    return files | read_csv_duckdb(chunk_size=100_000, use_pyarrow=True)


def message_rows(source):
    """As its Kafka source reads: a consumer's batches up to the offsets at the start, each value parsed."""
    from confluent_kafka import Consumer, TopicPartition

    @dlt.resource
    def messages():
        consumer = Consumer(
            {"bootstrap.servers": ",".join(source["brokers"]), "group.id": "dlt", "enable.auto.commit": False}
        )
        topic = source["topic"]
        partitions = [TopicPartition(topic, each, 0) for each in consumer.list_topics(topic).topics[topic].partitions]
        left = sum(consumer.get_watermark_offsets(each)[1] for each in partitions)
        consumer.assign(partitions)
        while left > 0:
            batch = consumer.consume(MESSAGES_A_BATCH, timeout=5)
            if not batch:
                break
            left -= len(batch)
            yield [json.loads(message.value()) for message in batch]
        consumer.close()

    return messages()


def destination_of(arguments):
    if len(arguments) == 2:
        return dlt.destinations.duckdb(arguments[0]), "parquet"
    import psycopg2

    connection = psycopg2.connect(arguments[0])
    with connection, connection.cursor() as cursor:
        cursor.execute("drop schema if exists dlt_bench cascade")
    connection.close()
    return dlt.destinations.postgres(arguments[0]), "csv"


def main():
    source, arguments = json.loads(sys.argv[1]), sys.argv[2:]
    destination, file_format = destination_of(arguments)
    home = source.get("home") or tempfile.mkdtemp(prefix="downbeat-dlt-")
    try:
        cpu, started = cpu_seconds(), time.monotonic()
        rows = rows_of(source).with_name("orders")
        if "cursor" in source:
            merge = {"disposition": "merge", "strategy": "delete-insert"}
            rows.apply_hints(write_disposition=merge, primary_key=source["key"])
        else:
            rows.apply_hints(write_disposition="replace")
        pipeline = dlt.pipeline("bench", destination=destination, dataset_name="dlt_bench", pipelines_dir=home)
        pipeline.run(rows, table_name="orders", loader_file_format=file_format)
        seconds = time.monotonic() - started
        moved = pipeline.last_trace.last_normalize_info.row_counts.get("orders", 0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        measured = {"rows": moved, "seconds": seconds, "cpuSeconds": cpu_seconds() - cpu, "peakMegabytes": peak}
        print(json.dumps(measured))
    finally:
        if "home" not in source:
            shutil.rmtree(home, ignore_errors=True)


def cpu_seconds():
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in own)


os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
# Its text files need not be packed on the way to a server beside it, which is faster.
os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"

main()
