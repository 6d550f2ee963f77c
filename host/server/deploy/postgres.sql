-- The role and the database of a cluster, once, as a superuser:
--   psql -v password="$(cat postgres-password)" -f postgres.sql
-- The tables are made by the first node that starts.

\set ON_ERROR_STOP on

CREATE ROLE scenehost LOGIN PASSWORD :'password';
CREATE DATABASE scenehost OWNER scenehost;
REVOKE ALL ON DATABASE scenehost FROM PUBLIC;

-- What was acknowledged survives a crash: never off. With a synchronous standby it survives the machine, too.
ALTER DATABASE scenehost SET synchronous_commit = on;
-- A session of a process that is gone must not hold locks.
ALTER DATABASE scenehost SET idle_in_transaction_session_timeout = '10s';
ALTER DATABASE scenehost SET tcp_keepalives_idle = 10;
ALTER DATABASE scenehost SET tcp_keepalives_interval = 5;
ALTER DATABASE scenehost SET tcp_keepalives_count = 3;
