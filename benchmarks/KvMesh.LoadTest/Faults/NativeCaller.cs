using System.Diagnostics;
using KvMesh.Client;

namespace KvMesh.LoadTest.Faults;

/// <summary>
/// An engine at work: it asks the node of its own for the blocks of a chain, checks every byte, and puts what is missing, as after computing
/// it. While its node is away it works with the next one; a request may enter at any node.
/// </summary>
internal sealed class NativeCaller : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(8);
    private static readonly TimeSpan Avoidance = TimeSpan.FromMilliseconds(250);

    private readonly Place[] _places;
    private readonly string _home;
    private readonly PutLedger _ledger;
    private readonly Traffic _traffic;
    private readonly FaultSettings _settings;
    private readonly ChainRequests _requests;
    private readonly byte[] _buffer = new byte[PutLedger.MaxPayloadBytes];

    /// <param name="nodes">Its own node first, then those that it turns to.</param>
    public NativeCaller(IEnumerable<NodeTarget> nodes, PutLedger ledger, Traffic traffic, FaultSettings settings, int seed)
    {
        _places = [.. nodes.Select(node => new Place(node))];
        _home = _places[0].Node.Name;
        _ledger = ledger;
        _traffic = traffic;
        _settings = settings;
        _requests = new ChainRequests(seed);
    }

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var first = _requests.NextChain();
            for (var index = 0; index < ChainRequests.ChainBlocks && !stop.IsCancellationRequested; index++)
            {
                await AskAsync(first + index, index == 0);
                await Task.Delay(Pause, CancellationToken.None);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var place in _places)
        {
            await LeaveAsync(place);
        }
    }

    private async Task AskAsync(long block, bool isFirst)
    {
        var place = Array.Find(_places, each => Stopwatch.GetElapsedTime(each.LostAt) > Avoidance || each.LostAt == 0) ?? _places[0];
        var mark = place.Node.Health.Mark;
        if (await ConnectAsync(place) is not { } client)
        {
            Fail(place, mark, "connect to");
            return;
        }

        var startedAt = Stopwatch.GetTimestamp();
        var result = await client.GetAsync(ChainRequests.Scope, ChainRequests.HashOf(block), _buffer, CancellationToken.None);
        var took = Stopwatch.GetElapsedTime(startedAt);
        switch (result.Status)
        {
            case GetStatus.Hit when _ledger.Judge(block, _buffer.AsSpan(0, result.Bytes)) is { } wrong:
                _traffic.Wrong($"{place.Node.Name}: {wrong}");
                break;
            case GetStatus.Hit:
                _traffic.Answer(_home, "native", isHit: true, took, place.Node.IfSoundSince(mark));
                break;
            case GetStatus.Miss:
                _traffic.Answer(_home, "native", isHit: false, took, place.Node.IfSoundSince(mark));
                await PutAsync(place, client, block, isFirst);
                break;
            case GetStatus.TooSmall:
                _traffic.Wrong($"{place.Node.Name}: block {block} has {result.Bytes} bytes; each put of it had {PutLedger.PayloadBytes(block)}");
                break;
            default:
                await LeaveAsync(place);
                Fail(place, mark, "get from");
                break;
        }
    }

    private async Task PutAsync(Place place, KvMeshClient client, long block, bool isFirst)
    {
        var payload = _buffer.AsMemory(0, PutLedger.PayloadBytes(block));
        var number = _ledger.Begin(block, payload.Span);
        ReadOnlyMemory<byte> parent = isFirst ? ReadOnlyMemory<byte>.Empty : ChainRequests.HashOf(block - 1);
        var mark = place.Node.Health.Mark;
        var generation = place.Node.Generation;
        var begunAt = Stopwatch.GetTimestamp();
        var status = await client.PutAsync(ChainRequests.Scope, ChainRequests.HashOf(block), parent, payload, CancellationToken.None);
        switch (status)
        {
            case PutStatus.Stored:
                _ledger.End(block, number, PutEnd.Acknowledged);
                _traffic.Put();
                break;

            // A put that was repeated on another connection, because its first was lost or late, may meet its own bytes.
            case PutStatus.AlreadyPresent when place.Node.Health.WasSoundSince(mark) && place.Node.Generation == generation
                && Stopwatch.GetElapsedTime(begunAt) < _settings.RequestTimeout / 2:
                _ledger.End(block, number, PutEnd.NotKept);
                break;
            case PutStatus.AlreadyPresent:
                break;
            case PutStatus.Failed:
                await LeaveAsync(place);
                Fail(place, mark, "put to");
                break;
            default:
                _traffic.Error($"put to {place.Node.Name}: {status}");
                break;
        }
    }

    private void Fail(Place place, int mark, string what)
    {
        place.LostAt = Stopwatch.GetTimestamp();
        if (place.Node.Health.WasSoundSince(mark))
        {
            _traffic.Error($"{what} {place.Node.Name}");
        }
        else
        {
            _traffic.Lost(_home);
        }
    }

    private async Task<KvMeshClient?> ConnectAsync(Place place)
    {
        try
        {
            return place.Client ??= await KvMeshClient.ConnectAsync(
                new ClientOptions
                {
                    Endpoint = place.Node.NativeEndpoint,
                    AllowSharedMemory = false,
                    Connections = 1,
                    RequestTimeout = _settings.RequestTimeout,
                    ConnectTimeout = _settings.RequestTimeout,
                },
                CancellationToken.None);
        }
        catch (KvMeshConnectException)
        {
            return null;
        }
    }

    private static async Task LeaveAsync(Place place)
    {
        if (place.Client is { } client)
        {
            place.Client = null;
            await client.DisposeAsync();
        }
    }

    private sealed class Place(NodeTarget node)
    {
        public NodeTarget Node => node;

        public KvMeshClient? Client { get; set; }

        /// <summary>When it last failed; 0: never.</summary>
        public long LostAt { get; set; }
    }
}
