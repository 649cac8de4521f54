using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>INFO, in Redis' fields where a field of Redis means something here. Sizes are of the caller's tenant.</summary>
internal static class InfoCommands
{
    private static readonly (string Name, Action<RespSession, StringBuilder> Write)[] Sections =
    [
        ("Server", WriteServer),
        ("Clients", WriteClients),
        ("Memory", WriteMemory),
        ("Persistence", (_, text) => text.Append("loading:0\r\nasync_loading:0\r\nrdb_bgsave_in_progress:0\r\naof_enabled:0\r\n")),
        ("Stats", WriteStats),
        ("Replication", (_, text) => text.Append("role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\nmaster_repl_offset:0\r\n")),
        ("CPU", WriteProcessor),
        ("Cluster", (_, text) => text.Append("cluster_enabled:0\r\n")),
        ("Keyspace", WriteKeyspace),
    ];

    public static IReadOnlyList<RespCommand> All { get; } = [new("info", -1, Info) { Flags = ["loading", "stale"] }];

    private static void Info(RespSession session, in RespRequest request)
    {
        var asked = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        for (var index = 1; index < request.Count; index++)
        {
            asked.Add(Encoding.Latin1.GetString(request[index]));
        }

        var isAll = asked.Count == 0 || asked.Overlaps(["all", "default", "everything"]);
        var text = new StringBuilder();
        foreach (var (name, write) in Sections)
        {
            if (isAll || asked.Contains(name))
            {
                text.Append(text.Length > 0 ? "\r\n" : "").Append("# ").Append(name).Append("\r\n");
                write(session, text);
            }
        }

        session.Writer.WriteVerbatim(Encoding.UTF8.GetBytes(text.ToString()));
    }

    private static void WriteServer(RespSession session, StringBuilder text)
    {
        var uptime = session.Services.Time.GetUtcNow() - session.Services.StartedAt;
        Line(text, "redis_version", ConnectionCommands.RedisVersion);
        Line(text, "redis_mode", "standalone");
        Line(text, "kvmesh_version", typeof(InfoCommands).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "");
        Line(text, "os", Environment.OSVersion.VersionString);
        Line(text, "arch_bits", 64);
        Line(text, "multiplexing_api", "epoll");
        Line(text, "process_id", Environment.ProcessId);
        Line(text, "uptime_in_seconds", (long)uptime.TotalSeconds);
        Line(text, "uptime_in_days", (long)uptime.TotalDays);
    }

    private static void WriteClients(RespSession session, StringBuilder text)
    {
        Line(text, "connected_clients", session.Services.Sessions.VisibleTo(session).Count());
        Line(text, "blocked_clients", 0);
    }

    private static void WriteMemory(RespSession session, StringBuilder text)
    {
        var tenant = TenantFigures.Of(session);
        Line(text, "used_memory", tenant.HostBytes);
        Line(text, "maxmemory", tenant.HostShareBytes);
        Line(text, "maxmemory_policy", ConfigCommands.EvictionPolicy);
        Line(text, "leased_bytes", tenant.LeasedBytes);
    }

    private static void WriteStats(RespSession session, StringBuilder text)
    {
        var tenant = TenantFigures.Of(session);
        if (session.IsAdmin)
        {
            var counters = session.Services.Counters;
            Line(text, "total_connections_received", counters.Connections);
            Line(text, "total_commands_processed", counters.Commands);
            Line(text, "total_error_replies", counters.Errors);
            Line(text, "dropped_writes", counters.DroppedWrites);
            Line(text, "protocol_errors", counters.ProtocolErrors);
        }

        Line(text, "keyspace_hits", tenant.Hits);
        Line(text, "keyspace_misses", tenant.Misses);
    }

    private static void WriteProcessor(RespSession session, StringBuilder text)
    {
        if (session.IsAdmin)
        {
            using var process = Process.GetCurrentProcess();
            Line(text, "used_cpu_sys", process.PrivilegedProcessorTime.TotalSeconds.ToString("F6", CultureInfo.InvariantCulture));
            Line(text, "used_cpu_user", process.UserProcessorTime.TotalSeconds.ToString("F6", CultureInfo.InvariantCulture));
        }
    }

    private static void WriteKeyspace(RespSession session, StringBuilder text)
    {
        var blocks = TenantFigures.Of(session).Blocks;
        if (blocks > 0)
        {
            Line(text, "db0", $"keys={blocks},expires=0,avg_ttl=0");
        }
    }

    private static void Line(StringBuilder text, string name, object value) => text.Append(name).Append(':').Append(value).Append("\r\n");
}
