namespace KvMesh.Cli.Workload.Routing;

/// <summary>Opens a door to one node of the mesh; an <see cref="IOException"/> says that it does not answer.</summary>
internal delegate ValueTask<IWorkloadDoor> OpenNode(int endpoint, CancellationToken cancellationToken);

/// <summary>
/// The doors of several nodes as one: each request enters the mesh where the router says. What a lost node does not deliver is a miss,
/// and the next node of the request's order gets what is written; only when no node answers the request is an error.
/// </summary>
internal sealed class RoutedDoor : IWorkloadDoor
{
    private readonly MeshRouter _router;
    private readonly IReadOnlyList<MeshEndpoint> _endpoints;
    private readonly OpenNode _open;
    private readonly IWorkloadDoor?[] _doors;
    private readonly int[] _order;

    /// <summary>Position in the order of the node that serves the request at hand.</summary>
    private int _position;

    /// <summary>Whether that node was lost while it served it.</summary>
    private bool _isLost;

    private bool _isDiverted;

    public RoutedDoor(MeshRouter router, IReadOnlyList<MeshEndpoint> endpoints, OpenNode open)
    {
        _router = router;
        _endpoints = endpoints;
        _open = open;
        _doors = new IWorkloadDoor?[endpoints.Count];
        _order = [.. Enumerable.Range(0, endpoints.Count)];
    }

    public int Endpoint => _order[_position];

    /// <summary>Opens the doors of all nodes that answer. Others are tried again when a request wants to enter there.</summary>
    /// <exception cref="IOException">None of them answers.</exception>
    public async ValueTask OpenAsync(CancellationToken cancellationToken)
    {
        for (var endpoint = 0; endpoint < _endpoints.Count; endpoint++)
        {
            if (_endpoints[endpoint].TryUse())
            {
                await DoorAsync(endpoint, cancellationToken);
            }
        }

        if (_endpoints.All(endpoint => endpoint.IsDown))
        {
            throw new IOException(string.Join("; ", _endpoints.Select(endpoint => endpoint.FirstFailure)));
        }
    }

    public async ValueTask<int> MatchAsync(ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken)
    {
        _router.Rank(hashes.Span, _order);
        (_isLost, _isDiverted) = (false, false);
        for (_position = 0; _position < _order.Length; _position++)
        {
            // The last one is asked in any case, or nobody would find out when all of them are back.
            var isLast = _position == _order.Length - 1;
            if ((_endpoints[Endpoint].TryUse() || isLast) && await TryMatchAsync(hashes, cancellationToken) is { } matched)
            {
                return matched;
            }

            Divert();
        }

        _position = 0;
        throw new IOException($"none of {_endpoints.Count} nodes answers; the last: {_endpoints[_order[^1]].FirstFailure}");
    }

    public async ValueTask ReadAsync(BlockBatch batch, CancellationToken cancellationToken)
    {
        if (_isLost || _doors[Endpoint] is not { } door)
        {
            batch.Outcomes.Fill(BlockOutcome.Skipped);
            return;
        }

        await door.ReadAsync(batch, cancellationToken);
        if (batch.Outcomes.Contains(BlockOutcome.Failed))
        {
            Lose("a read was not answered");
            batch.Outcomes.Replace(BlockOutcome.Failed, BlockOutcome.Skipped);
        }
    }

    public async ValueTask WriteAsync(BlockBatch batch, CancellationToken cancellationToken)
    {
        if (!_isLost && await TryWriteAsync(batch, cancellationToken))
        {
            return;
        }

        // Whoever served the request so far is lost: those behind it in the order take the rest, as a client with several addresses does.
        Divert();
        for (var others = 1; others < _order.Length; others++)
        {
            _position = (_position + 1) % _order.Length;
            if (_endpoints[Endpoint].TryUse() && await TryWriteAsync(batch, cancellationToken))
            {
                _isLost = false;
                return;
            }
        }

        batch.Outcomes.Fill(BlockOutcome.Failed);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var door in _doors)
        {
            if (door is not null)
            {
                await door.DisposeAsync();
            }
        }
    }

    private async ValueTask<int?> TryMatchAsync(ReadOnlyMemory<byte> hashes, CancellationToken cancellationToken)
    {
        if (await DoorAsync(Endpoint, cancellationToken) is not { } door)
        {
            return null;
        }

        try
        {
            var matched = await door.MatchAsync(hashes, cancellationToken);
            if (matched > 0)
            {
                // A native client cannot tell nothing from nobody: no match is no sign of life.
                _endpoints[Endpoint].Answered();
            }

            return matched;
        }
        catch (IOException e)
        {
            _endpoints[Endpoint].Failed(e.Message);
            return null;
        }
    }

    private async ValueTask<bool> TryWriteAsync(BlockBatch batch, CancellationToken cancellationToken)
    {
        if (await DoorAsync(Endpoint, cancellationToken) is not { } door)
        {
            return false;
        }

        await door.WriteAsync(batch, cancellationToken);
        if (batch.Outcomes.Contains(BlockOutcome.Failed))
        {
            Lose("a write was not answered");
            return false;
        }

        _endpoints[Endpoint].Answered();
        return true;
    }

    private void Lose(string what)
    {
        _isLost = true;
        _endpoints[Endpoint].Failed(what);
    }

    /// <summary>The request leaves the node that it was meant for.</summary>
    private void Divert()
    {
        if (!_isDiverted)
        {
            _isDiverted = true;
            _endpoints[_order[0]].Divert();
        }
    }

    private async ValueTask<IWorkloadDoor?> DoorAsync(int endpoint, CancellationToken cancellationToken)
    {
        try
        {
            return _doors[endpoint] ??= await _open(endpoint, cancellationToken);
        }
        catch (IOException e)
        {
            _endpoints[endpoint].Failed(e.Message);
            return null;
        }
    }
}
