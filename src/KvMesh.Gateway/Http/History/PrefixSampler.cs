using KvMesh.Engine.Blocks;
using KvMesh.Protocol.Admin;
using Microsoft.Extensions.Hosting;

namespace KvMesh.Gateway.Http.History;

/// <summary>
/// Groups blocks by what their keys have in common. Answers come from the last walk over the blocks, which others than the one who asks
/// make: a few hundred blocks at a time with pauses between, and only while somebody asks. A walk is bounded; what lies beyond is said to be missing.
/// </summary>
internal sealed class PrefixSampler(NodeView node) : BackgroundService
{
    /// <summary>Most groups in an answer.</summary>
    public const int MaxGroups = 1000;

    private const int MaxSampledBlocks = 200_000;

    /// <summary>Blocks of the first answer, which somebody waits for.</summary>
    private const int MaxAwaitedBlocks = 8192;

    /// <summary>A slice takes some tenths of a millisecond: three percent of a core while a walk lasts.</summary>
    private const int SliceBlocks = 512;
    private const int SlicePlaces = 16 * 1024;
    private static readonly TimeSpan SlicePause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);

    /// <summary>Age above which an answer is not worth giving: nobody had asked for a while.</summary>
    private static readonly TimeSpan Shelf = TimeSpan.FromSeconds(20);

    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _wanted = new(0, 1);
    private PrefixList? _latest;
    private bool _isWalking;

    /// <summary>The groups with most hits, of one tenant or of all.</summary>
    public PrefixList Top(int count, Tenant? tenant)
    {
        PrefixList list;
        lock (_lock)
        {
            var age = _latest is null ? TimeSpan.MaxValue : node.Time.GetUtcNow() - _latest.TakenAt;
            if (age > Shelf)
            {
                _latest = WalkAwaited();
                age = _latest.IsComplete ? TimeSpan.Zero : TimeSpan.MaxValue;
            }

            if (age > Freshness && !_isWalking)
            {
                _isWalking = true;
                _wanted.Release();
            }

            list = _latest!;
        }

        var visible = list.Prefixes.Where(prefix => tenant is null || prefix.Tenant == tenant.Name);
        return list with { Prefixes = [.. visible.Take(count)] };
    }

    public override void Dispose()
    {
        base.Dispose();
        _wanted.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            await _wanted.WaitAsync(stoppingToken).ConfigureAwait(false);
            try
            {
                var list = await WalkAsync(stoppingToken).ConfigureAwait(false);
                lock (_lock)
                {
                    _latest = list;
                }
            }
            finally
            {
                lock (_lock)
                {
                    _isWalking = false;
                }
            }
        }
    }

    private async Task<PrefixList> WalkAsync(CancellationToken cancellationToken)
    {
        var groups = new PrefixGroups();
        var isComplete = true;
        foreach (var tenant in node.Engine.Tenants.All)
        {
            BlockVisitor visit = (key, in info) => groups.Add(tenant, key, info);
            long cursor = 0;
            do
            {
                cursor = node.Engine.Scan(tenant, cursor, SliceBlocks, SlicePlaces, visit);
                await Task.Delay(SlicePause, node.Time, cancellationToken).ConfigureAwait(false);
            }
            while (cursor != 0 && groups.Blocks < MaxSampledBlocks);

            isComplete &= cursor == 0;
        }

        return View(groups, isComplete);
    }

    private PrefixList WalkAwaited()
    {
        var groups = new PrefixGroups();
        var isComplete = true;
        foreach (var tenant in node.Engine.Tenants.All)
        {
            var left = (int)Math.Max(1, MaxAwaitedBlocks - groups.Blocks);
            isComplete &= node.Engine.Scan(tenant, 0, left, int.MaxValue, (key, in info) => groups.Add(tenant, key, info)) == 0;
        }

        return View(groups, isComplete);
    }

    private PrefixList View(PrefixGroups groups, bool isComplete) =>
        new(node.Time.GetUtcNow(), groups.Blocks, isComplete && !groups.IsFull, groups.Top(MaxGroups * 4));
}
