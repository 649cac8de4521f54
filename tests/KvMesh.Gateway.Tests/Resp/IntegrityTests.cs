using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Resp;
using KvMesh.Gateway.Sockets;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>Clients of this door cannot verify what they get: the node does, on a sample of reads and on every block that it has not seen whole.</summary>
public sealed class IntegrityTests
{
    private const string Miss = "$-1\r\n";
    private static readonly string Value = new('x', 50_000);

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Damage_in_memory_is_found_by_the_reads_that_are_verified(int verifyOneReadIn)
    {
        using var fixture = new RespFixture(engine => engine.VerifyOneReadIn = verifyOneReadIn);
        fixture.Ask(Set("key"));
        fixture.Ask(Set("other"));
        Damage(fixture.Engine, "key"u8);

        var reads = 1;
        while (fixture.Ask("GET key\r\n") != Miss)
        {
            // Which reads are verified is left to chance; that none of a thousand is, is no chance.
            Assert.True(++reads <= (verifyOneReadIn == 1 ? 1 : 1_000), $"{reads} reads without a look at the bytes");
        }

        Assert.Equal(1, fixture.Engine.Engine.Snapshot().Integrity.QuarantinedBlocks);
        Assert.Equal(Miss, fixture.Ask("GET key\r\n"));
        Assert.Equal(":0\r\n", fixture.Ask("EXISTS key\r\n"));
        Assert.Equal(Reply, fixture.Ask("GET other\r\n"));
    }

    [Fact]
    public void Bytes_that_were_damaged_while_the_node_was_down_are_a_miss()
    {
        // No read is sampled: what comes from an earlier process is verified in any case.
        using var fixture = new RespFixture(engine => engine.VerifyOneReadIn = 0);
        fixture.Ask(Set("key"));
        fixture.Ask(Set("other"));
        var arena = fixture.Engine.Tenant.ArenaPath;
        var offset = OffsetOf(fixture.Engine, "key"u8);
        fixture.Engine.Options.RemoveArenaOnStop = false;
        fixture.Engine.Engine.Dispose();
        using (var file = File.Open(arena, FileMode.Open, FileAccess.ReadWrite))
        {
            file.Position = DataOffset(file) + offset + 30_000;
            file.WriteByte((byte)'y');
        }

        fixture.Engine.Restart();
        using var access = new AccessControl(fixture.Engine.Engine.Tenants, NullLoggerFactory.Instance);
        var factory = new RespSessionFactory(
            fixture.Engine.Engine, access, new RespOptions(), fixture.Engine.Options.MaxBlockBytes, fixture.Metrics, fixture.Engine.Time);
        using var session = factory.Create(new ConnectionInfo(77, "10.0.0.1", false));
        Assert.Equal(Miss, RespFixture.Ask(session, "GET key\r\n"));
        Assert.Equal(Reply, RespFixture.Ask(session, "GET other\r\n"));
        Assert.Equal(1, fixture.Engine.Engine.Snapshot().Integrity.QuarantinedBlocks);
    }

    private static string Reply => $"${Value.Length}\r\n{Value}\r\n";

    private static string Set(string key) => $"*3\r\n$3\r\nSET\r\n${key.Length}\r\n{key}\r\n{Reply}";

    private static long OffsetOf(TestEngine engine, ReadOnlySpan<byte> key)
    {
        Assert.True(engine.Engine.TryRead(engine.Tenant, key, ReadIntent.Inspect, out var read));
        using (read)
        {
            return read.PayloadOffset;
        }
    }

    /// <summary>Changes a byte as a bad memory cell does: in the file, which is the memory.</summary>
    private static void Damage(TestEngine engine, ReadOnlySpan<byte> key)
    {
        using var file = File.Open(engine.Tenant.ArenaPath, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        file.Position = DataOffset(file) + OffsetOf(engine, key) + 30_000;
        file.WriteByte((byte)'y');
    }

    /// <summary>Where the data begins, as the header says.</summary>
    private static long DataOffset(FileStream arena)
    {
        Span<byte> header = stackalloc byte[40];
        arena.Position = 0;
        arena.ReadExactly(header);
        return BitConverter.ToInt64(header[32..]);
    }
}
