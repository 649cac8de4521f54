using KvMesh.Client;
using KvMesh.Client.Sequences;
using KvMesh.Protocol;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults;

/// <summary>
/// Keeps a session: opens a sequence, appends, parks and resumes it, each step through another node, and knows what must be stored. A step
/// that no node could decide is sent again under its request id until one does.
/// </summary>
internal sealed class SequenceCaller : IAsyncDisposable
{
    private const int StepsOfATurn = 8;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(25);

    private readonly string _caller;
    private readonly KvMeshClient[] _clients;
    private readonly NodeTarget[] _nodes;
    private readonly Traffic _traffic;
    private readonly Func<int> _dataLosses;
    private readonly Random _random;
    private readonly SemaphoreSlim _turn = new(1);
    private readonly List<SegmentRow> _rows = [];
    private int _lives;
    private int _lossesAtOpen;
    private int _steps;
    private CancellationToken _abandon;
    private string? _name;
    private long _epoch;
    private BlockHash _lastHash;

    private SequenceCaller(string caller, NodeTarget[] nodes, KvMeshClient[] clients, Traffic traffic, Func<int> dataLosses, int seed)
    {
        _caller = caller;
        _nodes = nodes;
        _clients = clients;
        _traffic = traffic;
        _dataLosses = dataLosses;
        _random = new Random(seed);
    }

    /// <param name="dataLosses">How often the store has lost everything: then, and only then, a sequence may be unknown.</param>
    public static async Task<SequenceCaller> ConnectAsync(
        string caller, NodeTarget[] nodes, Traffic traffic, Func<int> dataLosses, FaultSettings settings, int seed)
    {
        var clients = new List<KvMeshClient>();
        foreach (var node in nodes)
        {
            clients.Add(await KvMeshClient.ConnectAsync(
                new ClientOptions { Endpoint = node.NativeEndpoint, AllowSharedMemory = false, Connections = 1, RequestTimeout = settings.RequestTimeout, ConnectTimeout = settings.RequestTimeout },
                CancellationToken.None));
        }

        return new SequenceCaller(caller, nodes, [.. clients], traffic, dataLosses, seed);
    }

    /// <param name="stop">Ends it between two steps.</param>
    /// <param name="abandon">Ends it wherever it is.</param>
    public async Task RunAsync(CancellationToken stop, CancellationToken abandon)
    {
        _abandon = abandon;
        while (!stop.IsCancellationRequested)
        {
            await _turn.WaitAsync(CancellationToken.None);
            try
            {
                await StepAsync();
            }
            finally
            {
                _turn.Release();
            }

            await Task.Delay(Pause, CancellationToken.None);
        }
    }

    /// <summary>Compares what each node says of the sequence with what was done.</summary>
    public async Task VerifyAsync()
    {
        await _turn.WaitAsync(CancellationToken.None);
        try
        {
            for (var index = 0; index < _nodes.Length && _name is not null; index++)
            {
                var rows = await ReadAsync(index);
                if (rows is null)
                {
                    CheckForgotten(_nodes[index].Name);
                }
                else if (!rows.SequenceEqual(_rows))
                {
                    _traffic.Wrong($"{_nodes[index].Name}: {_name} has {rows.Count} rows, of which {_rows.Zip(rows).Count(pair => pair.First == pair.Second)} are right; {_rows.Count} were acknowledged");
                }
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
        {
            await client.DisposeAsync();
        }

        _turn.Dispose();
    }

    private async Task StepAsync()
    {
        _steps++;
        if (_name is null)
        {
            await OpenAsync();
        }
        else if (_steps % StepsOfATurn == 0)
        {
            await TakeTurnAsync();
        }
        else
        {
            await AppendAsync();
        }
    }

    private async Task OpenAsync()
    {
        _rows.Clear();
        (_lastHash, _epoch, _lossesAtOpen) = (BlockHash.Root, 0, _dataLosses());
        _name = $"{_caller}-{_lives++}";
        await DecideAsync(new OpenSequence { Scope = ChainRequests.Scope.Bytes, Holder = _caller });
    }

    private async Task AppendAsync()
    {
        var row = NextRow();
        var result = await DecideAsync(new AppendSegment
        {
            Epoch = _epoch,
            ParentHash = _lastHash,
            Blocks = row.Blocks,
            Tokens = row.Tokens,
            Bytes = row.Bytes,
            FirstHash = row.FirstHash,
            LastHash = row.LastHash,
        });
        if (result is null)
        {
            return;
        }

        _rows.Add(row);
        _lastHash = row.LastHash;
        if (result.Segments != _rows.Count || result.LastHash != _lastHash)
        {
            _traffic.Wrong($"{_name} has {result.Segments} segments after an append; {_rows.Count} were acknowledged");
        }
    }

    /// <summary>Parks and resumes; what was the epoch before must then be refused.</summary>
    private async Task TakeTurnAsync()
    {
        var before = _epoch;
        if (await DecideAsync(new ParkSequence { Epoch = _epoch }) is null || await DecideAsync(new ResumeSequence { Holder = _caller }) is null)
        {
            return;
        }

        if (_epoch <= before)
        {
            _traffic.Wrong($"{_name} was resumed under epoch {_epoch}; {before} was in force before");
        }

        await DecideAsync(new ParkSequence { Epoch = before }, SequenceRefusal.StaleEpoch);
    }

    private SegmentRow NextRow()
    {
        var last = _rows.Count > 0 ? _rows[^1] : default;
        var (blocks, first) = ((uint)_random.Next(1, 6), NextHash());
        return new SegmentRow(
            (uint)last.EndBlock, blocks, last.StartToken + last.Tokens, blocks * 16, last.StartByte + last.Bytes, blocks * 1_000, first, blocks == 1 ? first : NextHash());
    }

    private BlockHash NextHash()
    {
        var bytes = new byte[Limits.ChainHashBytes];
        _random.NextBytes(bytes);
        return new BlockHash(bytes);
    }

    /// <summary>Sends a command until a node has decided it. Null: the sequence went with the store's data, or an answer was wrong.</summary>
    private async Task<SequenceInfo?> DecideAsync(SequenceCommand command, SequenceRefusal expected = SequenceRefusal.None)
    {
        command = command with { RequestId = (ulong)_random.NextInt64() | 1 };
        SequenceResult result = null!;
        await Eventually.Holds(
            async () =>
            {
                result = await _clients[_random.Next(_clients.Length)].Sequences.ExecuteAsync(_name!, command, CancellationToken.None);
                if (result.Refusal is not (SequenceRefusal.Unavailable or SequenceRefusal.Busy))
                {
                    return true;
                }

                _traffic.Undecided();
                await Task.Delay(Pause, _abandon);
                return false;
            },
            () => $"an answer to {command} for {_name}; the last: {result.Refusal}, {result.Text}");
        if (result.Refusal == expected)
        {
            _traffic.Step();
            _epoch = result.Sequence?.Epoch ?? _epoch;
            return result.Sequence;
        }

        if (result.Refusal == SequenceRefusal.NotFound)
        {
            CheckForgotten("a node");
        }
        else
        {
            _traffic.Wrong($"{_name}: {command.GetType().Name} ended as {result.Refusal}, not {expected}: {result.Text}");
            _name = null;
        }

        return null;
    }

    private void CheckForgotten(string where)
    {
        if (_dataLosses() == _lossesAtOpen)
        {
            _traffic.Wrong($"{where} does not know {_name}, and the store lost nothing since it was opened");
        }

        _name = null;
    }

    /// <summary>All rows as one node reads them; null: it does not know the sequence.</summary>
    private async Task<List<SegmentRow>?> ReadAsync(int node)
    {
        var rows = new List<SegmentRow>();
        SegmentPage page = null!;
        await Eventually.Holds(
            async () =>
            {
                page = await _clients[node].Sequences.ReadRowsAsync(_name!, rows.Count, SequenceLimits.MaxPageRows, CancellationToken.None);
                rows.AddRange(page.IsOk ? page.Rows : []);
                return page.Refusal == SequenceRefusal.NotFound || (page.IsOk && rows.Count >= page.Total);
            },
            () => $"all rows of {_name} at {_nodes[node].Name}; the last answer: {page.Refusal}, {page.Text}");
        return page.IsOk ? rows : null;
    }
}
