using System.Diagnostics;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.SharedMemory;
using KvMesh.TestKit;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Client.Tests;

/// <summary>A client that lies, shrinks or scribbles hurts nobody but itself.</summary>
public sealed class StagingContractTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public async Task The_arena_is_handed_out_for_reading_only_and_the_staging_file_keeps_its_size()
    {
        await using var node = new NodeFixture();
        using var peer = new RawPeer(node.UnixPath);
        Assert.Equal(NativeStatus.Ok, peer.Ask(Verb.Attach).Status);
        using (var arena = peer.TakeDescriptor())
        {
            Assert.ThrowsAny<Exception>(() => RandomAccess.Write(arena, new byte[1], 0));
            Assert.ThrowsAny<Exception>(() => SharedMapping.Map(arena, 4096, writable: true).Dispose());
        }

        using var staging = Stage(peer, MiB);
        Assert.ThrowsAny<Exception>(() => RandomAccess.SetLength(staging, 4096));
        Assert.ThrowsAny<Exception>(() => RandomAccess.SetLength(staging, 2 * MiB));
        Assert.Equal(NativeStatus.BadRequest, peer.Ask(Verb.Staging, writer => writer.WriteUInt64(MiB)).Status);
    }

    [Theory]
    [InlineData(0, MiB + 1)]
    [InlineData(1, MiB)]
    [InlineData(MiB, 1)]
    [InlineData(long.MaxValue, 1)]
    [InlineData(-1, 1)]
    [InlineData(-1, -1)]
    [InlineData(0, -1)]
    public async Task A_commit_outside_the_staging_file_is_refused(long offset, int bytes)
    {
        await using var node = new NodeFixture();
        using var peer = new RawPeer(node.UnixPath);
        using var staging = Stage(peer, MiB);
        Assert.Equal(NativeStatus.BadRequest, Commit(peer, 1, offset, bytes, 0));
        Assert.Equal(NativeStatus.Ok, peer.Ask(Verb.Ping).Status);
    }

    [Fact]
    public async Task A_commit_without_a_staging_file_is_refused()
    {
        await using var node = new NodeFixture();
        using var peer = new RawPeer(node.UnixPath);
        Assert.Equal(NativeStatus.BadRequest, Commit(peer, 1, 0, 1, 0));
    }

    [Fact]
    public async Task A_lease_needs_the_arena()
    {
        await using var node = new NodeFixture();
        using var peer = new RawPeer(node.UnixPath);
        var refusal = peer.Ask(Verb.Lease, writer =>
        {
            new LeaseRequest().Write(writer);
            writer.WriteOpaque("key"u8);
        });
        Assert.Equal(NativeStatus.NotSupported, refusal.Status);
    }

    [Fact]
    public async Task Bytes_that_change_during_a_commit_are_stored_right_or_not_at_all()
    {
        await using var node = new NodeFixture(options => options.ArenaBytes = 128 * MiB);
        using var peer = new RawPeer(node.UnixPath);
        using var file = Stage(peer, MiB);
        using var mapping = SharedMapping.Map(file, MiB, writable: true);
        var payload = TestBytes.Payload(1, MiB);
        payload.CopyTo(mapping.Slice(0, MiB));
        var table = new uint[ChecksumTable.EntryCount(MiB)];
        ChecksumTable.Compute(payload, table);

        using var stop = new CancellationTokenSource();
        var scribbler = Task.Run(() =>
        {
            for (var value = 0; !stop.IsCancellationRequested; value++)
            {
                mapping.Slice(700_000, 1)[0] = (byte)(payload[700_000] ^ (value & 1));
            }
        });
        var stored = 0;
        var commits = 0;
        var watch = Stopwatch.StartNew();

        // On a busy machine the scribbler may sleep through many commits: go on until one of them met it.
        for (var index = 0; index < 60 || (stored == index && watch.Elapsed < Eventually.Patience); index++)
        {
            var status = Commit(peer, index, 0, MiB, ChecksumTable.Seal(table));
            Assert.True(status is NativeStatus.Ok or NativeStatus.Mismatch, $"{status}");
            var read = node.Engine.Get(NodeFixture.Scope.KeyOf(TestBytes.Hash(1, index)));
            Assert.Equal(status == NativeStatus.Ok, read is not null);
            Assert.True(read is null || read.AsSpan().SequenceEqual(payload), "other bytes than the client's were stored");
            stored += status == NativeStatus.Ok ? 1 : 0;
            commits++;
        }

        await stop.CancelAsync();
        await scribbler;
        Assert.True(stored < commits, "the scribbler was never seen, so that nothing was tested");
    }

    [Fact]
    public async Task A_commit_without_a_checksum_stores_what_the_node_reads()
    {
        await using var node = new NodeFixture();
        using var peer = new RawPeer(node.UnixPath);
        using var file = Stage(peer, MiB);
        using var mapping = SharedMapping.Map(file, MiB, writable: true);
        var payload = TestBytes.Payload(1, MiB);
        payload.CopyTo(mapping.Slice(0, MiB));

        Assert.Equal(NativeStatus.Ok, Commit(peer, 1, 4096, MiB - 4096, null));
        Assert.Equal(payload[4096..], node.Engine.Get(NodeFixture.Scope.KeyOf(TestBytes.Hash(1, 1))));
        Assert.Equal(NativeStatus.BadRequest, Commit(peer, 2, 4096, MiB, null));
        Assert.Equal(NativeStatus.Mismatch, Commit(peer, 2, 0, MiB, 0));
    }

    [Fact]
    public async Task A_closed_connection_gives_its_staging_budget_back()
    {
        await using var node = new NodeFixture(change: options => options with { TotalStagingBytes = MiB });
        using (var first = new RawPeer(node.UnixPath))
        {
            using var staging = Stage(first, MiB);
            using var second = new RawPeer(node.UnixPath);
            Assert.Equal(NativeStatus.Unavailable, second.Ask(Verb.Staging, writer => writer.WriteUInt64(MiB)).Status);
        }

        await Eventually.Holds(CanStage, "the staging budget of a closed connection");

        bool CanStage()
        {
            using var third = new RawPeer(node.UnixPath);
            if (third.Ask(Verb.Staging, writer => writer.WriteUInt64(MiB)).Status != NativeStatus.Ok)
            {
                return false;
            }

            third.TakeDescriptor().Dispose();
            return true;
        }
    }

    private static SafeFileHandle Stage(RawPeer peer, long bytes)
    {
        Assert.Equal(NativeStatus.Ok, peer.Ask(Verb.Staging, writer => writer.WriteUInt64((ulong)bytes)).Status);
        Assert.Equal(bytes, BitConverter.ToInt64(peer.Head));
        return peer.TakeDescriptor();
    }

    private static NativeStatus Commit(RawPeer peer, int index, long offset, int bytes, uint? checksum) => peer.Ask(Verb.Commit, writer =>
    {
        new CommitRequest { Offset = (ulong)offset, PayloadBytes = (uint)bytes, TableChecksum = checksum }.Write(writer);
        writer.WriteChain(NodeFixture.Scope.Bytes.Span, TestBytes.Hash(1, index));
    }).Status;
}
