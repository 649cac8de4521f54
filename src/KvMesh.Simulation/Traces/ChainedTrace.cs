namespace KvMesh.Simulation.Traces;

/// <summary>
/// A trace whose blocks have numbers from 0 on, so that a cache finds each by index: the same number is the same content after the same prefix of
/// the same tenant. Made once for any number of caches that run over it. Partial blocks at the end of a prompt have no number, since they are never
/// kept; they count among the blocks that were asked for.
/// </summary>
public sealed class ChainedTrace
{
    private readonly int[] _blocks;
    private readonly int[] _starts;
    private readonly int[] _parents;

    private ChainedTrace(int[] blocks, int[] starts, int[] parents, long[] times, long askedBlocks, int[] tenants, int tenantCount)
    {
        _blocks = blocks;
        _starts = starts;
        _parents = parents;
        Times = times;
        AskedBlocks = askedBlocks;
        Tenants = tenants;
        TenantCount = tenantCount;
    }

    public int Requests => _starts.Length - 1;

    /// <summary>Blocks of all prompts, partial ones included: what hit ratios are relative to.</summary>
    public long AskedBlocks { get; }

    /// <summary>Full blocks of all prompts: touches of a cache.</summary>
    public int Touches => _blocks.Length;

    /// <summary>Different full blocks; the numbers are below it.</summary>
    public int DistinctBlocks => _parents.Length;

    public int TenantCount { get; }

    /// <summary>Arrivals in ticks of 100 ns, strictly increasing, as the clock of an engine numbers requests.</summary>
    internal long[] Times { get; }

    /// <summary>The tenant of each request, numbered from 0.</summary>
    internal int[] Tenants { get; }

    /// <summary>All touches, request by request, each from the head of its chain.</summary>
    internal ReadOnlySpan<int> Blocks => _blocks;

    /// <summary>The full blocks of a request, from the head.</summary>
    internal ReadOnlySpan<int> ChainOf(int request) => _blocks.AsSpan(_starts[request].._starts[request + 1]);

    /// <summary>Where a request begins in <see cref="Blocks"/>.</summary>
    internal int StartOf(int request) => _starts[request];

    /// <summary>The block before this one in its chain; -1 at the head.</summary>
    internal int ParentOf(int block) => _parents[block];

    /// <summary>Share of the blocks that were asked for.</summary>
    internal double Ratio(long hits) => AskedBlocks == 0 ? 0 : (double)hits / AskedBlocks;

    public static ChainedTrace Of(IReadOnlyList<PromptRequest> requests)
    {
        ArgumentNullException.ThrowIfNull(requests);
        var tenants = new Dictionary<string, int>();
        var numbers = new Dictionary<(int Parent, ulong Id), int>();
        var starts = new int[requests.Count + 1];
        var times = new long[requests.Count];
        var tenantOf = new int[requests.Count];
        var blocks = new List<int>();
        var parents = new List<int>();
        long asked = 0;
        long last = 0;
        for (var index = 0; index < requests.Count; index++)
        {
            var request = requests[index];
            if (!tenants.TryGetValue(request.Tenant, out var tenant))
            {
                tenants.Add(request.Tenant, tenant = tenants.Count);
            }

            // Heads of different tenants differ: each tenant has a root of its own, numbered from -1 down.
            var parent = -1 - tenant;
            foreach (var id in request.BlockIds.Span[..request.FullBlocks])
            {
                if (!numbers.TryGetValue((parent, id), out var number))
                {
                    numbers.Add((parent, id), number = parents.Count);
                    parents.Add(Math.Max(parent, -1));
                }

                blocks.Add(number);
                parent = number;
            }

            asked += request.BlockIds.Length;
            starts[index + 1] = blocks.Count;
            tenantOf[index] = tenant;
            times[index] = last = Math.Max(last + 1, request.TimestampMs * TimeSpan.TicksPerMillisecond);
        }

        return new ChainedTrace([.. blocks], starts, [.. parents], times, asked, tenantOf, tenants.Count);
    }
}
