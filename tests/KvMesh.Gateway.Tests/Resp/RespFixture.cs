using System.Text;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Resp;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Telemetry;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>A real engine with the Redis door before it, and sessions without sockets. Unless a clock is given, time stands still.</summary>
internal sealed class RespFixture : IDisposable
{
    private readonly List<IConnectionSession> _sessions = [];
    private long _lastId;

    public RespFixture(Action<EngineOptions>? engine = null, Action<RespOptions>? resp = null, TimeProvider? time = null, Func<BlockEngine, AccessControl>? access = null)
    {
        Engine = new TestEngine(engine, time ?? new SimulatedClock());
        Access = access?.Invoke(Engine.Engine) ?? new AccessControl(Engine.Engine.Tenants, NullLoggerFactory.Instance);
        var options = new RespOptions();
        resp?.Invoke(options);
        Factory = new RespSessionFactory(Engine.Engine, Access, options, Engine.Options.MaxBlockBytes, Metrics, Engine.Time);
    }

    public TestEngine Engine { get; }

    public AccessControl Access { get; }

    public GatewayMetrics Metrics { get; } = new();

    public RespSessionFactory Factory { get; }

    public IConnectionSession Open(string address = "10.0.0.1")
    {
        var session = Factory.Create(new ConnectionInfo(++_lastId, address, false));
        _sessions.Add(session);
        return session;
    }

    /// <summary>Plays a request on a connection and returns the reply bytes.</summary>
    public static string Ask(IConnectionSession session, string request, int pieceBytes = int.MaxValue) => Ask(session, Encoding.Latin1.GetBytes(request), pieceBytes);

    public static string Ask(IConnectionSession session, byte[] request, int pieceBytes = int.MaxValue)
    {
        var channel = new MemoryChannel { PieceBytes = pieceBytes };
        channel.Play(request);
        session.Run(channel);
        return channel.ToString();
    }

    /// <summary>As <see cref="Ask(IConnectionSession, string, int)"/>, on a connection of its own.</summary>
    public string Ask(string request) => Ask(Open(), request);

    /// <summary>The bytes of one command.</summary>
    public static byte[] Command(params object[] arguments)
    {
        var bytes = new List<byte>(Encoding.Latin1.GetBytes($"*{arguments.Length}\r\n"));
        foreach (var argument in arguments)
        {
            var value = argument as byte[] ?? Encoding.Latin1.GetBytes(argument.ToString()!);
            bytes.AddRange(Encoding.Latin1.GetBytes($"${value.Length}\r\n"));
            bytes.AddRange(value);
            bytes.AddRange("\r\n"u8);
        }

        return [.. bytes];
    }

    public void Dispose()
    {
        _sessions.ForEach(session => session.Dispose());
        Access.Dispose();
        Metrics.Dispose();
        Engine.Dispose();
    }
}
