using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Engine.FarTiers;
using KvMesh.Engine.Retention;
using KvMesh.Engine.Tiering;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Coding;
using KvMesh.TestKit;
using KvMesh.TestKit.FarTiers;

namespace KvMesh.Engine.Tests.Coding;

/// <summary>The moment in which a block becomes what its lossy copy is, with something else on its way: step by step.</summary>
public sealed class TurningLossyTests
{
    private readonly RoundingCoder _coder = new();

    [Fact]
    public void A_block_whose_exact_record_waits_to_be_written_does_not_turn_lossy_meanwhile()
    {
        using var engine = WithFiller();
        var block = engine.PutEncoded(100);
        Assert.True(engine.Writer.TryWrite(block));
        Assert.Equal(1, engine.Writer.Gathered);

        engine.MakeRoom();

        Assert.True(block.IsResident);
        Assert.Null(block.Loss);
        Assert.True(engine.Writer.Flush());
        Assert.True(block.IsOnDisk);
        Assert.Null(block.LossyBelow);

        // Now that the disk has every bit, that copy is what is left.
        engine.MakeRoom();
        Assert.False(block.IsInRam);
        Assert.Null(block.Loss);
        Assert.Equal(StillEngine.PayloadOf(100), engine.Read(block));
    }

    [Fact]
    public void Whoever_finds_the_checksum_of_a_lossy_copy_finds_its_loss()
    {
        using var engine = new StillEngine(_coder, arenaBytes: 64 << 20);
        Block[] blocks = [.. Enumerable.Range(0, 200).Select(engine.PutEncoded)];
        uint[] lossy = [.. blocks.Select(block => block.Encoded!.Index.BlockTableChecksum)];
        var isOver = false;
        var wrong = 0;
        var reader = new Thread(() =>
        {
            while (!Volatile.Read(ref isOver))
            {
                for (var index = 0; index < blocks.Length; index++)
                {
                    wrong += Volatile.Read(ref blocks[index].TableChecksum) == lossy[index] && blocks[index].Loss is null ? 1 : 0;
                }
            }
        })
        { IsBackground = true };
        reader.Start();
        foreach (var block in blocks)
        {
            engine.Displace(block);
        }

        Volatile.Write(ref isOver, true);
        reader.Join();

        Assert.Equal(0, wrong);
        Assert.All(blocks, block => Assert.Equal(RoundingCoder.Loss, block.Loss));
    }

    [Fact]
    public void An_encoded_copy_that_is_read_from_disk_while_its_block_turns_lossy_says_its_loss()
    {
        using var engine = new StillEngine(_coder, diskCoder: _coder);
        var block = engine.PutWritten(1);
        Assert.NotNull(block.LossyBelow);
        var kinds = CodecKinds.Of([block.LossyBelow.Loss.Codec]);
        Assert.False(engine.Door.TryRead(block, kinds, out _), "A lossy copy was given for an exact block.");
        engine.Files.Fault = (operation, _) =>
        {
            if (operation == "read" && block.IsResident)
            {
                engine.Displace(block);
            }

            return FileStatus.Ok;
        };

        Assert.True(engine.Door.TryRead(block, kinds, out var read));
        using (read)
        {
            Assert.Equal(RoundingCoder.Loss, read.Loss);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_lossless_lease_of_a_block_that_has_just_turned_lossy_is_not_granted(bool byMatch)
    {
        var time = new HookedTime();
        using var engine = new TestEngine(options => options.HostCoding.EncodeFrom = 1, time, hostCoder: _coder);
        var parts = engine.Engine.Parts;
        using var encoder = new HostEncoder(_coder, parts.Registry, parts.Evictor, new CodingCounters(), engine.Options.HostCoding, TimeProvider.System);
        engine.PutContent(TestBytes.Hash(1, 0), StillEngine.PayloadOf(0));
        Assert.True(encoder.EncodeNext(engine.Tenant));
        Assert.True(engine.Engine.TryInspect(engine.Tenant, TestBytes.Hash(1, 0), out var before) && before.Loss is null);
        var block = parts.Registry.Find(engine.Tenant, TestBytes.Hash(1, 0))!;
        time.Next = () =>
        {
            Assert.True(block.TryClaim(resident: true));
            var extent = parts.Registry.Displace(block);
            block.UnclaimAndCheckFree(resident: false);
            block.Tenant.Host.Free(block.Tenant, extent, wasPublished: false);
        };

        var isGranted = byMatch
            ? engine.Engine.MatchPrefix(engine.Tenant, new KeyRun(default, TestBytes.Hash(1, 0)), engine.Leases, TimeSpan.FromMinutes(1), losslessOnly: true).Blocks > 0
            : engine.Engine.Exists(engine.Tenant, TestBytes.Hash(1, 0), engine.Leases, TimeSpan.FromMinutes(1), losslessOnly: true);

        Assert.Null(time.Next);
        Assert.NotNull(block.Loss);
        Assert.False(isGranted);
        Assert.True(engine.Engine.Exists(engine.Tenant, TestBytes.Hash(1, 0), engine.Leases, TimeSpan.FromMinutes(1)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_may_lose_nothing_is_not_tied_to_a_lossy_record_of_its_bytes(bool losslessOnly)
    {
        using var engine = new StillEngine(_coder);
        var block = engine.Put(1, losslessOnly);
        var recovery = new Recovery(engine.Registry, engine.Host.Tenants, new RequestClock(engine.Time), engine.Time, canDecode: true);
        var record = new DiskRecord
        {
            Tenant = block.Tenant.NameBytes,
            Key = block.Key,
            Model = "model"u8,
            Revision = "1"u8,
            Digest = block.Digest,
            Flags = BlockFlags.Content,
            PayloadBytes = 30_000,
            ExtentBytes = 31_000,
            Codec = 48,
            DecodedBytes = StillEngine.PayloadBytes,
            DecodedTableChecksum = block.TableChecksum ^ 1,
            Loss = RoundingCoder.Loss,
            SourceTableChecksum = block.TableChecksum,
            ScopeEpoch = block.Scope.Epoch,
            Sequence = 1,
        };

        Assert.Equal(!losslessOnly, recovery.AdoptRecord(record, new DiskLocation(1, 8192)));

        Assert.Equal(!losslessOnly, block.IsOnDisk);
        Assert.Equal(losslessOnly ? null : RoundingCoder.Loss, block.LossyBelow?.Loss);
        block.Disk = default;
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_offer_loads_what_lies_encoded_in_RAM_and_nothing_from_disk(bool isEncoded)
    {
        using var engine = new StillEngine(_coder);
        var block = isEncoded ? engine.PutEncoded(1) : engine.PutWritten(1);
        block.Hits = 1;
        engine.Displace(block);
        using var far = new FarLookup(engine.Registry, engine.Blocks, new FarTierOptions(), engine.Time);
        var tier = new MemoryTier { TakesOffers = true };
        far.Attach(tier);
        var loads = 0;
        var offers = new LeavingOffers(far, () => true, offered =>
        {
            loads++;
            return engine.Promoter.TryLoadAndOpen(offered, out _);
        });

        offers.OfferAll(engine.Host.Hosts, engine.Time, TimeSpan.FromMinutes(1));

        Assert.Equal(isEncoded ? 1 : 0, loads);
        Assert.Equal(isEncoded, tier.Has(StillEngine.KeyOf(1)));
    }

    /// <summary>An engine with a block that leaves before any other does, and is not encoded.</summary>
    private StillEngine WithFiller()
    {
        var engine = new StillEngine(_coder);
        _coder.Advice = CodingAdvice.Raw;
        for (var index = 0; index < 8; index++)
        {
            engine.Put(index);
            Assert.False(engine.Encoder.EncodeNext(engine.Tenant));
        }

        _coder.Advice = CodingAdvice.Encode;
        return engine;
    }

    /// <summary>The system's time; something happens once when this thread asks for it next.</summary>
    private sealed class HookedTime : TimeProvider
    {
        private readonly int _thread = Environment.CurrentManagedThreadId;

        public Action? Next { get; set; }

        public override DateTimeOffset GetUtcNow()
        {
            if (Environment.CurrentManagedThreadId == _thread && Next is { } next)
            {
                Next = null;
                next();
            }

            return System.GetUtcNow();
        }
    }
}
