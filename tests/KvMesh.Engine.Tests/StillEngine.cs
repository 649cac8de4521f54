using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Host;
using KvMesh.Engine.Retention;
using KvMesh.Engine.Tests.Disk;
using KvMesh.Engine.Tiering;
using KvMesh.Protocol.Integrity;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Engine.Tests;

/// <summary>
/// The parts of an engine that keeps blocks encoded, on a disk in memory, without its threads: nothing happens but what the test does, step by step.
/// </summary>
internal sealed class StillEngine : IDisposable
{
    public const int PayloadBytes = 60_000;

    private static readonly DiskOptions DiskOptions = new() { Directory = "disk", CapacityBytes = 64 << 20, SegmentBytes = 16 << 20, RunsMaintenance = false };

    private readonly TemporaryDirectory _directory = new();
    private readonly PayloadDecoder _ramDecoder;
    private readonly DiskCoding? _coding;

    /// <param name="hostCoder">Of blocks in RAM.</param>
    /// <param name="diskCoder">Of blocks on disk; null: they lie as they are.</param>
    /// <param name="encodeBudget">Share of the encoder of RAM; null: as much as it likes.</param>
    public StillEngine(
        IPayloadCoder hostCoder, IPayloadCoder? diskCoder = null, TimeProvider? time = null, long arenaBytes = 2 << 20, EncodeBudget? encodeBudget = null,
        EncodeBudget? diskBudget = null)
    {
        Time = time ?? TimeProvider.System;
        var options = new EngineOptions
        {
            DataDirectory = _directory.Path,
            ArenaBytes = arenaBytes,
            MaxBlocks = 1 << 10,
            Prefault = false,

            // So that a test can say which block leaves next.
            Retention = RetentionKind.Lru,
            RemoveArenaOnStop = true,
            ScrubBytesPerSecond = 0,
        };
        options.HostCoding.EncodeShare = 64;
        Host = EngineHost.Open(options, Time, NullLogger.Instance, hostCoder: hostCoder);
        Disk = DiskTier.Open(
            DiskOptions, Guid.NewGuid(), Files, new DiskReclaim(Registry, Host.Tenants, Time), (in record, location) => false, Time, NullLogger.Instance);
        Registry.UseDisk(Disk);
        _ramDecoder = new PayloadDecoder(hostCoder, null, Counters, Time);
        _coding = DiskCoding.For(diskCoder, Disk, Counters, encodeShare: 64, Time);
        Encoder = new HostEncoder(hostCoder, Registry, Host.Evictor, Counters, options.HostCoding, Time, encodeBudget);
        Promoter = new Promoter(Disk, Registry, Host.Evictor, Host.Counters, Time, _coding?.Decoder, _ramDecoder);
        Mover = new DiskMover(Disk, Registry, Promoter, Host.Counters, Time, _coding);
        Writer = new DemotionWriter(Disk, Registry, Host.Counters, _coding?.Encoder);
        Door = new EncodedDoor(Disk);
        Blocks = new BlockWriter(Registry, Host.Evictor, Host.Counters, maxBlockBytes: 1 << 24);
    }

    public TimeProvider Time { get; }

    public EngineHost Host { get; }

    public BlockRegistry Registry => Host.Registry;

    public Tenant Tenant => Host.Tenants.All[0];

    public RawExtents Raw => Tenant.Raw!;

    public SimulatedFileSystem Files { get; } = new(new Random(1));

    public DiskTier Disk { get; }

    public HostEncoder Encoder { get; }

    public Promoter Promoter { get; }

    public DiskMover Mover { get; }

    public DemotionWriter Writer { get; }

    public EncodedDoor Door { get; }

    public BlockWriter Blocks { get; }

    public CodingCounters Counters { get; } = new();

    public static byte[] PayloadOf(int index) => TestBytes.Payload(index, PayloadBytes);

    public static byte[] KeyOf(int index) => BitConverter.GetBytes(index);

    /// <summary>A sealed block of content in RAM.</summary>
    public Block Put(int index, bool losslessOnly = false)
    {
        var reserved = Reserve(index, losslessOnly);
        Assert.Equal(SealStatus.Sealed, Blocks.Seal(reserved, default));
        return reserved;
    }

    /// <summary>A block that is complete and not sealed.</summary>
    public Block Reserve(int index, bool losslessOnly = false)
    {
        var traits = new BlockTraits { IsContent = true, Model = "model", Revision = "1", LosslessOnly = losslessOnly };
        Assert.Equal(ReserveStatus.Reserved, Blocks.TryReserve(Tenant, KeyOf(index), PayloadBytes, traits, out var reservation));
        PayloadOf(index).CopyTo(reservation!.Payload);
        ChecksumTable.Compute(reservation.Payload, reservation.Checksums);
        return reservation.End();
    }

    /// <summary>A sealed block that lies encoded beside its own bytes.</summary>
    public Block PutEncoded(int index)
    {
        var block = Put(index);
        Assert.True(Encoder.EncodeNext(Tenant), "Nothing was encoded.");
        Assert.NotNull(block.Encoded);
        return block;
    }

    /// <summary>A sealed block that is on disk too.</summary>
    public Block PutWritten(int index)
    {
        var block = Put(index);
        Write(block);
        return block;
    }

    public void Write(Block block)
    {
        Assert.True(Writer.TryWrite(block) && Writer.Flush());
        Assert.True(block.IsOnDisk);
    }

    /// <summary>The evictor makes room for one block more than there is.</summary>
    public void MakeRoom()
    {
        var host = Tenant.Host;
        var bytes = Extent.BytesFor(PayloadBytes, Trailer.NameBytes(Tenant.Scopes.Of("model", "1")!, sizeof(int)));
        List<Extent> taken = [];
        while (host.TryTake(Tenant, bytes, out var extent))
        {
            taken.Add(extent);
        }

        Assert.True(Host.Evictor.TryAllocate(Tenant, bytes, out var last), "There is no room.");
        taken.ForEach(extent => host.Free(Tenant, extent, wasPublished: false));
        host.Free(Tenant, last, wasPublished: false);
    }

    /// <summary>The raw extent of a block goes, as the evictor lets it go.</summary>
    public void Displace(Block block)
    {
        Assert.True(block.TryClaim(resident: true), "The block is not there alone.");
        var extent = Registry.Displace(block);
        block.UnclaimAndCheckFree(resident: false);
        block.Tenant.Host.Free(block.Tenant, extent, wasPublished: false);
    }

    /// <summary>What a reader gets, loaded where it has to be; null: a miss.</summary>
    public byte[]? Read(Block block)
    {
        if (!block.TryOpen() && !Promoter.TryLoadAndOpen(block, out _))
        {
            return null;
        }

        using var read = new BlockRead(null!, block, mustVerify: false);
        Assert.Equal(block.TableChecksum, ChecksumTable.Seal(read.Checksums));
        Assert.Equal(-1, ChecksumTable.FirstMismatch(read.Payload, read.Checksums));
        return read.Payload.ToArray();
    }

    public void Dispose()
    {
        Writer.Dispose();
        Mover.Dispose();
        Door.Dispose();
        Encoder.Dispose();
        _ramDecoder.Dispose();
        Disk.Dispose();
        Host.Dispose();
        _directory.Dispose();
    }
}
