-- The database of tracking_large.py: runs of a few metrics with a few hundred points each, and two
-- long curves, of which one is counted, so that it can have buckets.

WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :runs - 1)
INSERT INTO runs (run_id, experiment_id, run_name, user_id, status, start_time, artifact_uri,
                  is_deleted, is_deleted_with_experiment)
SELECT 'run' || i, :number, 'run' || i, 'bench', 'FINISHED', i, 'mlflow-artifacts:/1/x', 0, 0
FROM n UNION ALL
SELECT name, :number, name, 'bench', 'FINISHED', 0, 'mlflow-artifacts:/1/x', 0, 0
FROM (SELECT :long AS name UNION ALL SELECT :bare);

-- In the order of the table's key, or it would take for ever.
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :keys - 1),
               s(j) AS (SELECT 0 UNION ALL SELECT j + 1 FROM s WHERE j < :each - 1)
INSERT INTO metrics
SELECT run_id, 'm' || i, j, j, ((start_time * 7919 + i * 104729 + j * 31) % 100003) / 100003.0, 0
FROM (SELECT run_id, start_time FROM runs WHERE run_id LIKE 'run%' ORDER BY run_id), n, s;

WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :length - 1)
INSERT INTO metrics
SELECT name, 'loss', i, i, ((i * 7919) % 100003) / 100003.0 + 100 * (i % 77777 = 7), 0
FROM (SELECT :long AS name UNION ALL SELECT :bare), n;

INSERT INTO latest_metrics
SELECT run_id, key, timestamp, step, value, is_nan, :each, NULL
FROM metrics WHERE step = :each - 1 AND key <> 'loss';

INSERT INTO latest_metrics
SELECT run_id, key, timestamp, step, value, is_nan, CASE run_id WHEN :long THEN :length ELSE 0 END, NULL
FROM metrics WHERE step = :length - 1 AND key = 'loss';
