using System.Text;
using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>
/// Random and mutated requests into whole sessions. Whatever comes, a session answers, waits or closes; it never fails, and leaves
/// no space reserved. KVMESH_FUZZ_SECONDS makes it long; a failure names its seed.
/// </summary>
public sealed class RespFuzzTests
{
    private const int ShortRounds = 800;

    [Fact]
    public void Survives_any_bytes()
    {
        using var fixture = new RespFixture(resp: options => options.MaxRequestBytes = 128 * 1024);
        var seconds = int.Parse(Environment.GetEnvironmentVariable("KVMESH_FUZZ_SECONDS") ?? "0");
        var start = TimeProvider.System.GetTimestamp();
        for (var seed = 1; seed <= ShortRounds || TimeProvider.System.GetElapsedTime(start).TotalSeconds < seconds; seed++)
        {
            PlayOne(fixture, seed);
        }

        fixture.Ask("FLUSHALL\r\n");
        Assert.Equal(":0\r\n", fixture.Ask("DBSIZE\r\n"));
    }

    private static void PlayOne(RespFixture fixture, int seed)
    {
        var random = new Random(seed);
        var stream = new CommandStream(seed);
        var wire = new List<byte>();
        for (var count = random.Next(1, 12); count > 0; count--)
        {
            wire.AddRange(random.Next(5) == 0 ? Encoding.Latin1.GetBytes($"GET key{count} \"a\\x4\"\r\n") : RespFixture.Command(stream.Next()));
        }

        for (var mutations = random.Next(4); mutations > 0; mutations--)
        {
            Mutate(wire, random);
        }

        var channel = new MemoryChannel { PieceBytes = random.Next(1, 5000) };
        channel.Play([.. wire]);
        if (random.Next(2) == 0)
        {
            channel.CloseAfterInput();
        }

        using var session = fixture.Factory.Create(new ConnectionInfo(1_000_000 + seed, "10.0.0.9", false));
        try
        {
            session.Run(channel);
        }
        catch (ChannelException)
        {
            // The stream ended within a request and the peer stays silent.
        }
        catch (Exception error)
        {
            Assert.Fail($"seed {seed}: {error}");
        }
    }

    private static void Mutate(List<byte> wire, Random random)
    {
        var position = random.Next(wire.Count);
        switch (random.Next(4))
        {
            case 0:
                wire[position] = (byte)random.Next(256);
                break;
            case 1:
                wire.RemoveRange(position, Math.Min(wire.Count - position, random.Next(1, 40)));
                wire.Add((byte)'\n');
                break;
            case 2:
                wire.InsertRange(position, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99999999\r\n"u8.ToArray());
                break;
            default:
                wire.Insert(position, "\r\n*$-0123\"'"u8[random.Next(11)]);
                break;
        }
    }
}
