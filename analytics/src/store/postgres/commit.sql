-- One commit. Every row is absolute, and all are written or none: they are where each lease stands with the fence that is given, and the
-- store is this run's own where no leases are given. Whoever takes over waits for this statement, or this statement for them.
-- $1: the run, or null; $2, $3: shards and fences.
WITH held AS MATERIALIZED (
    SELECT l.shard FROM leases l JOIN unnest($2::smallint[], $3::bigint[]) AS t(shard, fence) ON l.shard = t.shard AND l.fence = t.fence
    ORDER BY l.shard FOR KEY SHARE OF l
), own AS MATERIALIZED (
    SELECT run FROM store WHERE run = $1::bigint FOR KEY SHARE
), may AS MATERIALIZED (
    SELECT (SELECT count(*) FROM held) = cardinality($2) AND (cardinality($2) > 0 OR EXISTS (SELECT FROM own)) AS write
), block AS MATERIALIZED (
    SELECT nextval('blocks') AS number
), summed AS (
    INSERT INTO sums AS old (
        feeder, start, part, epoch, plan_version, profile, contributors, sealed_first, sealed_last, stage,
        replaces, rank_first, rank_last, replaced, record
    )
    SELECT t.* FROM unnest(
        $4::integer[], $5::bigint[], $6::integer[], $7::integer[], $8::bigint[], $9::text[], $10::integer[], $11::bigint[],
        $12::bigint[], $13::smallint[], $14::integer[], $15::bigint[], $16::bigint[], $17::integer[], $18::bytea[]
    ) AS t(feeder, start, part, epoch, plan_version, profile, contributors, sealed_first, sealed_last, stage,
        replaces, rank_first, rank_last, replaced, record) WHERE (SELECT write FROM may)
    ON CONFLICT (feeder, start, part) DO UPDATE SET
        epoch = excluded.epoch, plan_version = excluded.plan_version, profile = excluded.profile,
        contributors = excluded.contributors, sealed_first = excluded.sealed_first, sealed_last = excluded.sealed_last,
        stage = excluded.stage, replaces = excluded.replaces, rank_first = excluded.rank_first, rank_last = excluded.rank_last,
        replaced = excluded.replaced,
        -- The record of a sum that takes reports stays unless there is another.
        record = CASE WHEN excluded.stage IN (0, 1) THEN coalesce(excluded.record, old.record) END
), rewritten AS (
    DELETE FROM contributors c USING unnest($19::integer[], $20::bigint[]) AS t(feeder, start)
    WHERE c.feeder = t.feeder AND c.start = t.start AND (SELECT write FROM may)
), added AS (
    INSERT INTO contributors (feeder, start, number, block)
    SELECT t.feeder, t.start, block.number, t.block
    FROM block, unnest($21::integer[], $22::bigint[], $23::bytea[]) AS t(feeder, start, block) WHERE (SELECT write FROM may)
), seated AS (
    INSERT INTO seats (feeder, meter, seat)
    SELECT t.* FROM unnest($24::integer[], $25::text[], $26::integer[]) AS t(feeder, meter, seat) WHERE (SELECT write FROM may)
    ON CONFLICT DO NOTHING
), timed AS (
    UPDATE feeders f SET time = t.time FROM unnest($27::integer[], $28::bigint[]) AS t(feeder, time)
    WHERE f.number = t.feeder AND (SELECT write FROM may)
), released AS (
    INSERT INTO releases (feeder, start, part, digest, bytes_digest, bytes)
    SELECT t.* FROM unnest($29::integer[], $30::bigint[], $31::integer[], $32::bytea[], $33::bytea[], $34::bytea[])
        AS t(feeder, start, part, digest, bytes_digest, bytes) WHERE (SELECT write FROM may)
    ON CONFLICT (feeder, start, part) DO UPDATE SET
        digest = excluded.digest, bytes_digest = excluded.bytes_digest, bytes = excluded.bytes
), settled AS (
    DELETE FROM releases r USING unnest($35::integer[], $36::bigint[], $37::integer[]) AS t(feeder, start, part)
    WHERE r.feeder = t.feeder AND r.start = t.start AND r.part = t.part AND (SELECT write FROM may)
), reclaimed_sums AS (
    DELETE FROM sums s USING unnest($38::integer[], $39::bigint[]) AS t(feeder, start)
    WHERE s.feeder = t.feeder AND s.start = t.start AND (SELECT write FROM may)
), reclaimed_releases AS (
    DELETE FROM releases r USING unnest($38::integer[], $39::bigint[]) AS t(feeder, start)
    WHERE r.feeder = t.feeder AND r.start = t.start AND (SELECT write FROM may)
), billed AS (
    INSERT INTO bills (feeder, period, meter, epoch, plan_version, bands, record)
    SELECT t.* FROM unnest($40::integer[], $41::bigint[], $42::text[], $43::integer[], $44::bigint[], $45::bigint[], $46::bytea[])
        AS t(feeder, period, meter, epoch, plan_version, bands, record)
    WHERE (SELECT write FROM may) AND t.record IS NOT NULL
    ON CONFLICT (feeder, period, meter, epoch, plan_version, bands) DO UPDATE SET record = excluded.record
), paid AS (
    DELETE FROM bills b
    USING unnest($40::integer[], $41::bigint[], $42::text[], $43::integer[], $44::bigint[], $45::bigint[], $46::bytea[])
        AS t(feeder, period, meter, epoch, plan_version, bands, record)
    WHERE (b.feeder, b.period, b.meter, b.epoch, b.plan_version, b.bands) = (t.feeder, t.period, t.meter, t.epoch, t.plan_version, t.bands)
        AND t.record IS NULL AND (SELECT write FROM may)
)
SELECT ARRAY(SELECT shard FROM held) AS held, (SELECT write FROM may) AS written
