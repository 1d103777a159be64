-- Version 1. Unsigned numbers are stored in signed columns of the same width, bit for bit.

-- What the rows mean, and who writes them where a process does not share them.
CREATE TABLE store (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    deployment text NOT NULL,
    layout text,
    grid text,
    run bigint UNIQUE
);

-- Short names of feeders. Time: in Unix seconds; it outlives the feeder's windows.
CREATE TABLE feeders (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    shard smallint,
    time bigint
);
CREATE INDEX feeders_shard ON feeders (shard);

-- Sums, with the record of each that takes reports: digest and packed ciphertext, which is random and so not compressed. A commit
-- rewrites it, so what is dead is collected early.
CREATE TABLE sums (
    feeder integer NOT NULL,
    start bigint NOT NULL,
    part integer NOT NULL,
    epoch integer NOT NULL,
    plan_version bigint NOT NULL,
    profile text NOT NULL,
    contributors integer NOT NULL,
    sealed_first bigint NOT NULL,
    sealed_last bigint NOT NULL,
    stage smallint NOT NULL,
    replaces integer,
    rank_first bigint,
    rank_last bigint,
    replaced integer,
    record bytea,
    PRIMARY KEY (feeder, start, part)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 20000, toast.autovacuum_vacuum_cost_delay = 0
);

-- Who is in the sums of a window: what each commit added, until a sum is settled; then one row for all. A later row counts more.
CREATE TABLE contributors (
    feeder integer NOT NULL,
    start bigint NOT NULL,
    number bigint NOT NULL,
    block bytea NOT NULL,
    PRIMARY KEY (feeder, start, number)
) PARTITION BY RANGE (start);
CREATE SEQUENCE blocks;

-- Short names of the meters of settled sums.
CREATE TABLE seats (
    feeder integer NOT NULL,
    meter text COLLATE "C" NOT NULL,
    seat integer NOT NULL,
    PRIMARY KEY (feeder, meter)
);

-- Releases that the operator has not answered for good.
CREATE TABLE releases (
    feeder integer NOT NULL,
    start bigint NOT NULL,
    part integer NOT NULL,
    digest bytea NOT NULL,
    bytes_digest bytea NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (feeder, start, part)
);

-- Groups of bills. Bands are stored so that their order is that of the unsigned number.
CREATE TABLE bills (
    feeder integer NOT NULL,
    period bigint NOT NULL,
    meter text COLLATE "C" NOT NULL,
    epoch integer NOT NULL,
    plan_version bigint NOT NULL,
    bands bigint NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (feeder, period, meter, epoch, plan_version, bands)
);

-- Who adds for a shard. The fence is in a key, so that a commit, which locks the key, and a takeover, which changes it, exclude each
-- other, and a renewal and a commit do not.
CREATE TABLE leases (
    shard smallint PRIMARY KEY,
    owner text,
    run bigint,
    fence bigint NOT NULL,
    expires timestamptz NOT NULL,
    UNIQUE (shard, fence)
);

-- The processes that share the shards, and when each was last seen.
CREATE TABLE members (
    id text PRIMARY KEY,
    run bigint NOT NULL,
    seen timestamptz NOT NULL
);

-- Ciphertexts and digests are random.
ALTER TABLE sums ALTER record SET STORAGE EXTERNAL;
ALTER TABLE contributors ALTER block SET STORAGE EXTERNAL;
ALTER TABLE releases ALTER bytes SET STORAGE EXTERNAL;
ALTER TABLE bills ALTER record SET STORAGE EXTERNAL;

-- One turn of a member: see analytics::ownership::Leases. As one statement, so that no pause of a process falls into it. One member
-- takes its turn at a time.
CREATE FUNCTION take_turn(member text, member_run bigint, ttl interval, shards integer)
RETURNS TABLE (shard smallint, fence bigint) LANGUAGE plpgsql AS $$
DECLARE
    share integer;
    room integer;
BEGIN
    PERFORM FROM members m ORDER BY m.id FOR UPDATE;
    INSERT INTO members AS m (id, run, seen) VALUES (member, member_run, clock_timestamp())
        ON CONFLICT (id) DO UPDATE SET run = excluded.run, seen = excluded.seen;
    SELECT ceil(shards::numeric / count(*)) INTO share FROM members m WHERE m.seen + ttl > clock_timestamp();
    INSERT INTO leases AS l (shard, fence, expires)
        SELECT number, 0, clock_timestamp() FROM generate_series(0, shards - 1) AS number
        WHERE NOT EXISTS (SELECT FROM leases l WHERE l.shard = number)
        ON CONFLICT DO NOTHING;
    -- This leaves keys alone, and so holds up no commit.
    UPDATE leases l SET expires = clock_timestamp() + ttl WHERE l.owner = member AND l.run = member_run;
    UPDATE leases l SET owner = NULL, run = NULL, expires = clock_timestamp() WHERE l.shard IN
        (SELECT o.shard FROM leases o WHERE o.owner = member AND o.run = member_run ORDER BY o.shard OFFSET share);
    SELECT share - count(*) INTO room FROM leases l WHERE l.owner = member AND l.run = member_run;
    -- This changes a key, and so waits for every commit that proved the fence before.
    UPDATE leases l SET owner = member, run = member_run, fence = l.fence + 1, expires = clock_timestamp() + ttl WHERE l.shard IN
        (SELECT o.shard FROM leases o WHERE o.shard < shards AND (o.owner IS NULL OR (o.owner = member AND o.run <> member_run)
            OR (o.owner <> member AND o.expires <= clock_timestamp())) ORDER BY o.shard LIMIT greatest(room, 0));
    RETURN QUERY SELECT l.shard, l.fence FROM leases l WHERE l.owner = member AND l.run = member_run ORDER BY l.shard;
END
$$;

-- Gives up all leases of a run, which is not alive any more.
CREATE FUNCTION give_up(member text, member_run bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE leases SET owner = NULL, run = NULL, expires = clock_timestamp() WHERE owner = member AND run = member_run;
    DELETE FROM members WHERE id = member AND run = member_run;
$$;
