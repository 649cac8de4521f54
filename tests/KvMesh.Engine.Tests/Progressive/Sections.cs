using KvMesh.Engine.Blocks;
using KvMesh.Engine.Leases;
using KvMesh.Engine.Progressive;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Progressive;

/// <summary>A block of a few sections, its writers and readers.</summary>
internal static class Sections
{
    public const int Bytes = 70_000;
    public const int Count = 5;
    public const int BlockBytes = (Count * Bytes) - 20_000;

    public static byte[] Key { get; } = [.. "a key of content"u8];

    public static ProgressiveWrite Begin(TestEngine engine, ConnectionLeases? leases = null, byte[]? key = null, int blockBytes = BlockBytes, int sectionBytes = Bytes)
    {
        Assert.Equal(ReserveStatus.Reserved, engine.Engine.TryBegin(
            engine.Tenant, key ?? Key, blockBytes, sectionBytes, BlockTraits.Content("model", "1", default), leases ?? engine.Leases, out var write));
        return write!;
    }

    /// <summary>Publishes the next section as a door does.</summary>
    public static SealStatus Publish(TestEngine engine, ProgressiveWrite write, ReadOnlySpan<byte> payload, out bool isOver)
    {
        isOver = true;
        if (!write.TryHold())
        {
            return SealStatus.ConditionFailed;
        }

        write.BeginSection();
        var section = payload.Slice(write.Published * write.SectionBytes, write.NextSectionBytes);
        section.CopyTo(write.NextSection);
        write.Append(section);
        var status = engine.Engine.Publish(write, Crc32C.Compute(section), out isOver);
        write.Release();
        return status;
    }

    public static SealStatus Publish(TestEngine engine, ProgressiveWrite write, ReadOnlySpan<byte> payload) => Publish(engine, write, payload, out _);

    /// <summary>Everything is given back; what a loop of the engine holds for a moment is waited for.</summary>
    public static void AwaitEmpty(TestEngine engine, string what) => Eventually.HoldsBlocking(
        () => engine.Engine.ProgressiveWrites == 0 && AllocatedBytes(engine) == 0, () => $"{what}: the memory of {engine.Engine.ProgressiveWrites} writes, {AllocatedBytes(engine)} bytes");

    public static long AllocatedBytes(TestEngine engine) => engine.Engine.Snapshot().Arenas.Sum(arena => arena.AllocatedBytes);
}

/// <summary>A reader by section, with what it has so far.</summary>
internal sealed class SectionFollowing(TestEngine engine, byte[]? key = null)
{
    private readonly Follower _follower = new(engine.Engine.OpenLeases(engine.Tenant));
    private readonly byte[] _bytes = new byte[Sections.BlockBytes];
    private int _length;
    private uint _proof;

    public int Next { get; private set; }

    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, _length);

    public FollowStatus Read(TimeSpan wait = default, int maxBytes = 1, CancellationToken cancellationToken = default)
    {
        var position = new FollowPosition(Next, Sections.Bytes, _proof, maxBytes);
        var status = engine.Engine.TryFollow(engine.Tenant, key ?? Sections.Key, position, wait, _follower, false, out var read, cancellationToken);
        if (status != FollowStatus.Ready)
        {
            return status;
        }

        using (read)
        {
            Take(read);
        }

        return FollowStatus.Ready;
    }

    /// <summary>Opens sections and leaves them open.</summary>
    public FollowStatus Open(out SectionRead read) =>
        engine.Engine.TryFollow(engine.Tenant, key ?? Sections.Key, new FollowPosition(Next, Sections.Bytes, _proof, 1), default, _follower, false, out read, default);

    private void Take(in SectionRead read)
    {
        Assert.Equal(Next, read.First);
        var payload = read.Payload;
        for (var index = 0; index < read.Count; index++)
        {
            var section = payload.Slice(index * Sections.Bytes, Math.Min(Sections.Bytes, payload.Length - (index * Sections.Bytes)));
            Assert.Equal(Crc32C.Compute(section), read.ChecksumOf(Next + index));
            _proof = SectionProof.Append(_proof, read.ChecksumOf(Next + index));
        }

        Assert.True(read.Verify());
        payload.CopyTo(_bytes.AsSpan(_length));
        _length += payload.Length;
        Next += read.Count;
    }
}
