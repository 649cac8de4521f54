using System.Net;
using KvMesh.Gateway.Handover;
using KvMesh.Gateway.Resp;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Tests.Resp;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Handover;

/// <summary>What another process hands over is refused with a reason when it cannot be read, and no descriptor is lost on the way.</summary>
public sealed class HandoverFuzzTests
{
    private const int Rounds = 3_000;

    [Fact]
    public void Damaged_records_of_connections_are_refused_with_a_reason()
    {
        var body = ConnectionRecords();
        Fuzz.Run(Rounds, random =>
        {
            using var frame = Frame(HandoverVerb.Connections, Fuzz.Damage(random, body));
            var connections = new List<FrozenConnection>();
            RefusesOrReads(() => HandoverRecords.ReadConnections(frame, new StreamSocketOptions(), connections));

            // The descriptors are of no socket, so that none of them becomes a connection.
            Assert.Empty(connections);
        });
    }

    [Fact]
    public void Damaged_counts_and_heads_are_refused_with_a_reason()
    {
        var counts = HandoverRecords.WriteCounts(new FrozenConnections([], [], 7));
        var head = HandoverFrame.Write(1, HandoverVerb.Connections, counts, 3);
        Fuzz.Run(Rounds, random =>
        {
            RefusesOrReads(() => HandoverRecords.ReadCounts(Fuzz.Damage(random, counts)));
            var damaged = Fuzz.Damage(random, head);
            if (damaged.Length == head.Length)
            {
                RefusesOrReads(() => HandoverFrame.Verify(damaged, counts.AsSpan(0, HandoverFrame.Read(damaged).BodyBytes % (counts.Length + 1))));
            }
        });
    }

    [Fact]
    public void A_damaged_state_of_a_session_is_refused_with_a_reason()
    {
        using var fixture = new RespFixture();
        using var session = (RespSession)fixture.Factory.Create(new ConnectionInfo(1, "10.0.0.9", false) { ClientName = "client" });
        var state = RespSessionState.Save(session);
        Assert.Equal("client", RespSessionState.Read(state).ClientName);
        Fuzz.Run(Rounds, random =>
        {
            try
            {
                RespSessionState.Read(Fuzz.Damage(random, state));
            }
            catch (InvalidDataException refusal)
            {
                Assert.Contains("RESP connection", refusal.Message, StringComparison.Ordinal);
            }
        });
    }

    private static byte[] ConnectionRecords()
    {
        using var listener = StreamListener.Bind(new IPEndPoint(IPAddress.Loopback, 0), new StreamSocketOptions());
        using var socket = StreamSocket.Connect(listener.LocalEndPoint, new StreamSocketOptions());
        return HandoverRecords.Write(Enumerable.Range(0, 3).Select(index => new FrozenConnection(
            "resp", socket, new ConnectionInfo(index, "10.0.0.9", false) { ClientName = "client", TenantName = "red", Commands = 12 },
            DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_000), 100, 200, index == 0 ? null : [1, 2, 3])));
    }

    private static HandoverChannel.Received Frame(HandoverVerb verb, byte[] body) =>
        new(verb, body, [.. Enumerable.Range(0, 3).Select(_ => File.OpenHandle("/dev/null"))]);

    private static void RefusesOrReads(Action read)
    {
        try
        {
            read();
        }
        catch (HandoverException refusal)
        {
            Assert.NotEmpty(refusal.Message);
        }
    }
}
