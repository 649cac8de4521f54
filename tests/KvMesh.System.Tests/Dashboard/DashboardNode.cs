using System.Net;
using KvMesh.Client.Admin;
using KvMesh.Dashboard;
using KvMesh.Engine;
using KvMesh.Server;
using KvMesh.Server.Options;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>A small node on free ports of this machine, with its dashboard.</summary>
internal sealed class DashboardNode : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory;
    private readonly KvMeshNode _node;

    private DashboardNode(TemporaryDirectory directory, KvMeshNode node)
    {
        _directory = directory;
        _node = node;
    }

    public Uri Http => _node.Endpoints.Http;

    public Uri Dashboard => new(Http, DashboardExtensions.BasePath);

    public string Native => $"tcp://{_node.Endpoints.Native}";

    public IPEndPoint Resp => _node.Endpoints.Resp!;

    public static Task<DashboardNode> StartAsync(params (string Token, string Rights)[] tokens) => StartAsync(0, tokens);

    /// <summary>With tokens, nobody is served without one.</summary>
    /// <param name="httpPort">Port of the HTTP door; 0 any.</param>
    /// <param name="tokens">Each a token and its rights.</param>
    public static Task<DashboardNode> StartAsync(int httpPort, params (string Token, string Rights)[] tokens) => StartAsync(httpPort, 64 << 20, 0, tokens);

    /// <summary>One with little RAM and a disk below it, from which and to which blocks move under load.</summary>
    public static Task<DashboardNode> StartWithDiskAsync() => StartAsync(0, 8 << 20, 64 << 20, []);

    /// <summary>The same, with a disk on which the bytes of any block are coded.</summary>
    public static Task<DashboardNode> StartWithCodecAsync() => StartAsync(0, 8 << 20, 64 << 20, [], (options, _) =>
    {
        options.Engine.Disk.EncodeShare = 1;
        options.Codecs.Rules.Add(new CodecRuleOptions { Layout = CodecRuleOptions.Opaque, Disk = CodecRuleOptions.Opaque });
    });

    /// <summary>One with little RAM and a disk below it, which tenants share; the token of each is its name. The first may see figures.</summary>
    public static Task<DashboardNode> StartWithTenantsAsync(params string[] tenants) => StartAsync(0, 8 << 20, 64 << 20, [], (options, folder) =>
    {
        options.Access.TokenFile = TestTokens.Write(
            Path.Combine(folder, "tokens.json"), tenants.Select((tenant, index) => new TestToken(tenant, tenant, [.. index == 0 ? ["read", "write", "admin"] : (string[])["read", "write"]])));
        foreach (var tenant in tenants)
        {
            options.Engine.Tenants.Add(new TenantOptions { Name = tenant, IsolationGroup = "all" });
        }
    });

    private static async Task<DashboardNode> StartAsync(
        int httpPort, long arenaBytes, long diskBytes, (string Token, string Rights)[] tokens, Action<NodeOptions, string>? configure = null)
    {
        var directory = new TemporaryDirectory();
        try
        {
            var options = new NodeOptions
            {
                NodeId = "test-node",
                DataDirectory = Path.Combine(directory.Path, "node"),
                Http = { Port = httpPort },
                Native = { Port = 0 },
                Resp = { Port = 0 },
                Log = { Level = LogLevel.Warning },
                Engine =
                {
                    ArenaBytes = arenaBytes,
                    Disk = { CapacityBytes = diskBytes },
                    RemoveArenaOnStop = true,
                    StopBudget = TimeSpan.Zero,
                },
            };
            if (tokens.Length > 0)
            {
                options.Access.TokenFile = TestTokens.Write(
                    Path.Combine(directory.Path, "tokens.json"), tokens.Select(entry => new TestToken("default", entry.Token, entry.Rights)));
            }

            configure?.Invoke(options, directory.Path);
            return new DashboardNode(directory, await KvMeshNode.StartAsync(options, CancellationToken.None));
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    public AdminClient Admin(string? token = null) => PatientAdmin.Of(Http, token);

    public Task StopAsync() => _node.StopAsync(CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync();
        _directory.Dispose();
    }
}
