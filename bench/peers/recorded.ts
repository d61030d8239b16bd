// The peers' figures where they are not installed: medians of three on a machine of two cores, measured on 2026-11-23 with the harness that harness.ts drives.

import type { Scenario } from "./harness.ts";

/** Airflow 3.3.2 (LocalExecutor), Prefect 3.8.8 (process pool), Dagster 1.13.27 (both executors); seconds; absent: it did not end in ten times the best. */
export const RECORDED: Readonly<Record<Scenario, Readonly<Record<string, number>>>> = {
  hello: { airflow: 0.48, prefect: 3.2, dagster: 3.5, dagster_ip: 2.3 },
  chain: { airflow: 4.7, prefect: 3.3, dagster: 8.3, dagster_ip: 2.45 },
  fan100: { airflow: 15.5, prefect: 5.2, dagster: 24, dagster_ip: 10.6 },
  throughput: { airflow: 33.7, prefect: 117, dagster_ip: 156 },
  fan1000: { prefect: 13.6 },
};
