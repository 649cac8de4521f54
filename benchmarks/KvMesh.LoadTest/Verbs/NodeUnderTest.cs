using KvMesh.Client;
using KvMesh.Client.Admin;
using KvMesh.LoadTest.Clients;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Processes;
using KvMesh.Protocol.Admin;

namespace KvMesh.LoadTest.Verbs;

/// <summary>One running node and clients of its native protocol. Dispose ends everything.</summary>
internal sealed class NodeUnderTest : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<KvMeshClient> _clients = [];

    public NodeUnderTest(KvMeshSettings settings)
    {
        Settings = settings with { DataDirectory = _folder.Path };
        try
        {
            Node = KvMeshProcess.Start(Settings);
            Node.AwaitBackedArena();
        }
        catch
        {
            Node?.Dispose();
            _folder.Dispose();
            throw;
        }
    }

    public KvMeshSettings Settings { get; }

    public KvMeshProcess Node { get; private set; }

    public string UnixEndpoint => $"unix:{Node.UnixSocket}";

    public string TcpEndpoint => $"tcp://127.0.0.1:{Node.NativePort}";

    public KvMeshClient Connect(ClientOptions options)
    {
        try
        {
            var client = KvMeshClient.ConnectAsync(options with { ClientName = "loadtest", RequestTimeout = TimeSpan.FromMinutes(2) }, CancellationToken.None)
                .AsTask().GetAwaiter().GetResult();
            _clients.Add(client);
            return client;
        }
        catch (KvMeshConnectException e)
        {
            throw new LoadTestException($"The node cannot be reached: {e.Message}", e);
        }
    }

    /// <summary>Removes every block, so that what comes next finds warm pages and nothing to evict.</summary>
    public void Flush()
    {
        using var admin = new AdminClient(Node.Http, null);
        admin.PurgeAsync(new PurgeRequest(null, null, null), CancellationToken.None).GetAwaiter().GetResult();
    }

    public static void Fill(KvMeshClient client, long blocks, int payloadBytes) =>
        Task.Run(() => BenchBlocks.FillAsync(client, blocks, payloadBytes)).GetAwaiter().GetResult();

    /// <summary>Kills the node as a crash would, and starts it again on the same folder.</summary>
    public void KillAndRestart()
    {
        DisposeClients();
        Node.Dispose();
        Node = KvMeshProcess.Start(Settings);
    }

    /// <summary>Runs one caller for each connection.</summary>
    /// <param name="walks">Memory that the payloads of each caller walk, when it is not their own.</param>
    public Sample Drive(
        KvMeshClient client, int callers, int payloadBytes, RunSettings settings, long byteBudget, Func<NativeWorker, WorkerTally, RunWindow, Task> work,
        IReadOnlyList<Memory<byte>>? walks = null)
    {
        NativeWorker[] workers = [.. Enumerable.Range(1, callers).Select(seed => new NativeWorker(client, payloadBytes, seed, walks?[seed - 1]))];
        return Workers.RunAsync(
            callers, Node.ProcessId, () => new RunWindow(settings.Time, byteBudget), (tally, window) => work(workers[tally.Index], tally, window));
    }

    public void Dispose()
    {
        DisposeClients();
        Node.Dispose();
        _folder.Dispose();
    }

    private void DisposeClients()
    {
        foreach (var client in _clients)
        {
            client.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }

        _clients.Clear();
    }
}
