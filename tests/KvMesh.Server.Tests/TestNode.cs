using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Options;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Tests;

/// <summary>A whole node on free loopback ports and a temporary folder.</summary>
internal sealed class TestNode : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory;

    private TestNode(KvMeshNode node, TemporaryDirectory directory)
    {
        Node = node;
        _directory = directory;
        Http = new HttpClient { BaseAddress = node.Endpoints.Http, Timeout = Eventually.Patience };
    }

    public KvMeshNode Node { get; }

    /// <summary>Calls the node without a token.</summary>
    public HttpClient Http { get; }

    public string Directory => _directory.Path;

    /// <summary>Starts a node. With tokens, the file of them is <c>tokens.json</c> in its folder.</summary>
    public static async Task<TestNode> StartAsync(
        Action<NodeOptions>? configure = null, IReadOnlyList<TestToken>? tokens = null, NodeSurroundings? surroundings = null)
    {
        var directory = new TemporaryDirectory();
        var options = Options(directory.Path);
        if (tokens is not null)
        {
            options.Access.TokenFile = WriteTokens(directory.Path, tokens);
        }

        configure?.Invoke(options);
        try
        {
            var quiet = (surroundings ?? new NodeSurroundings { NotifySocket = null }) with { Logging = logging => logging.SetMinimumLevel(LogLevel.None) };
            return new TestNode(await KvMeshNode.StartAsync(NodeOptionsReader.Check(options), quiet, CancellationToken.None), directory);
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    /// <summary>Options of a small node that leaves nothing behind.</summary>
    public static NodeOptions Options(string directory) => new()
    {
        DataDirectory = directory,
        Console = false,
        Http = { Port = 0 },
        Native = { Port = 0 },
        Resp = { Port = 0 },
        Log = { Level = LogLevel.None },
        Engine = { ArenaBytes = 16 << 20, MaxBlocks = 1 << 12, Prefault = false, RemoveArenaOnStop = true, ScrubBytesPerSecond = 0 },
    };

    public static string WriteTokens(string directory, IReadOnlyList<TestToken> tokens) =>
        TestTokens.Write(Path.Combine(directory, "tokens.json"), tokens);

    /// <summary>A client that sends a token.</summary>
    public HttpClient As(string token)
    {
        var client = new HttpClient { BaseAddress = Node.Endpoints.Http, Timeout = Eventually.Patience };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    public async Task<T> GetAsync<T>(string path, HttpClient? client = null) =>
        (await (client ?? Http).GetFromJsonAsync<T>(path, AdminJson.Default.Options))!;

    /// <summary>Sends RESP commands on one connection and returns the bytes of all answers.</summary>
    public async Task<string> RespAsync(string commands, int expectedBytes)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(Node.Endpoints.Resp!);
        return await RespText.AskAsync(client, commands, expectedBytes);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await Node.DisposeAsync();
        _directory.Dispose();
    }
}
