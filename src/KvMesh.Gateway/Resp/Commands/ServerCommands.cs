using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>Commands about the server that have no better place.</summary>
internal static class ServerCommands
{
    public static IReadOnlyList<RespCommand> All { get; } =
    [
        new("time", 1, Time) { Flags = ["loading", "stale", "fast"] },

        // One node without replicas has nothing to wait for.
        new("wait", 3, Wait) { Flags = ["noscript"] },
    ];

    private static void Time(RespSession session, in RespRequest request)
    {
        var microseconds = session.Services.Time.GetUtcNow().Ticks / TimeSpan.TicksPerMicrosecond - (DateTimeOffset.UnixEpoch.Ticks / TimeSpan.TicksPerMicrosecond);
        session.Writer.WriteArray(2);
        session.Writer.WriteBulk((microseconds / 1_000_000).ToString());
        session.Writer.WriteBulk((microseconds % 1_000_000).ToString());
    }

    private static void Wait(RespSession session, in RespRequest request)
    {
        if (!request.TryGetInteger(1, out _))
        {
            session.Fail(RespErrors.NotAnInteger);
        }
        else if (!request.TryGetInteger(2, out var timeout))
        {
            session.Fail("ERR timeout is not an integer or out of range");
        }
        else if (timeout < 0)
        {
            session.Fail("ERR timeout is negative");
        }
        else
        {
            session.Writer.WriteInteger(0);
        }
    }
}
