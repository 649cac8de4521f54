using KvMesh.Engine.Retention;
using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Retention;

/// <summary>
/// The tiers of one node. RAM is under a policy of the engine; what leaves it is written to disk, and offered to Redis where there is no disk or where the disk is full,
/// by the engine's rules. A prompt hits the longest prefix of which every block is in some tier, and what was below comes back to RAM. A block of RAM that
/// has no copy on disk stays while others follow it.
/// </summary>
internal sealed class TieredCache : SimulatedLog.IOwner
{
    private readonly ChainedTrace _trace;
    private readonly IRetentionPolicy<SimulatedBlock> _policy;
    private readonly IReadOnlyList<TierRoom> _tiers;
    private readonly long[] _hits;
    private readonly int _ramCapacity;
    private readonly Func<SimulatedBlock, VictimVerdict> _judge;
    private readonly Func<SimulatedBlock, VictimVerdict> _judgeOfLastResort;
    private readonly SimulatedLog? _disk;
    private readonly RecentBlocks? _redis;
    private readonly AdmissionBar _bar = new();
    private readonly NotedUses _noted;

    /// <summary>Blocks that were here once; whether each is in RAM or on disk now, whether it is in RAM, and its uses since it is here.</summary>
    private readonly SimulatedBlock?[] _blocks;
    private readonly bool[] _isHere;
    private readonly bool[] _isInRam;
    private readonly int[] _uses;
    private int _inRam;

    /// <param name="trace">The trace.</param>
    /// <param name="policy">What decides who leaves RAM.</param>
    /// <param name="tiers">RAM first, then any of disk and Redis in this order.</param>
    public TieredCache(ChainedTrace trace, IRetentionPolicy<SimulatedBlock> policy, IReadOnlyList<TierRoom> tiers)
    {
        _trace = trace;
        _policy = policy;
        _tiers = tiers;
        _hits = new long[tiers.Count];
        _ramCapacity = tiers[0].Capacity;
        _judge = block => Judge(block, mustWrite: false);
        _judgeOfLastResort = block => Judge(block, mustWrite: true);
        _disk = tiers.FirstOrDefault(tier => tier.Kind == TierKind.Disk) is { } disk ? new SimulatedLog(trace.DistinctBlocks, disk.Capacity, this) : null;
        _redis = tiers.FirstOrDefault(tier => tier.Kind == TierKind.Redis) is { } redis ? new RecentBlocks(redis.Capacity) : null;
        _blocks = new SimulatedBlock?[trace.DistinctBlocks];
        _isHere = new bool[trace.DistinctBlocks];
        _isInRam = new bool[trace.DistinctBlocks];
        _uses = new int[trace.DistinctBlocks];
        _noted = new NotedUses(trace, _blocks, Use);
    }

    /// <summary>Hits of each tier, in the order of the tiers.</summary>
    public IReadOnlyList<long> Hits => _hits;

    /// <summary>Blocks written to disk, those written anew included.</summary>
    public long DiskWrites => _disk?.Written ?? 0;

    /// <summary>Blocks written to Redis.</summary>
    public long RedisWrites => _redis?.Written ?? 0;

    bool SimulatedLog.IOwner.IsInRam(int block) => _isInRam[block];

    int SimulatedLog.IOwner.HitsOf(int block) => _uses[block];

    bool SimulatedLog.IOwner.IsWorthItsPlace(int block) => _policy.ExpectedUses(_blocks[block]!) is { } expected && _bar.Keeps(expected);

    void SimulatedLog.IOwner.Forget(int block) => Forget(block);

    public void Serve(int request)
    {
        var chain = _trace.ChainOf(request);
        var time = _trace.Times[request];
        var held = 0;
        for (; held < chain.Length && Find(chain[held]) is { } tier; held++)
        {
            _hits[IndexOf(tier)]++;
        }

        _noted.Note(request, held);
        SimulatedBlock? parent = null;
        for (var index = 0; index < chain.Length; index++)
        {
            var number = chain[index];
            if (!_isInRam[number])
            {
                _noted.Tell();

                // What nobody had used before, and what Redis had, has yet to show that it is asked for again.
                var wasBelow = index < held;
                Admit(number, parent, time, lowInterest: wasBelow && _uses[number] == 0);
                _uses[number] += wasBelow ? 1 : 0;
            }

            parent = _blocks[number];
        }
    }

    private void Use(SimulatedBlock block, long number)
    {
        if (_isInRam[block.Number])
        {
            _policy.Touch(block, number);
            _uses[block.Number]++;
        }
    }

    private TierKind? Find(int number) =>
        _isInRam[number] ? TierKind.Ram : _disk?.Holds(number) == true ? TierKind.Disk : _redis?.Use(number) == true ? TierKind.Redis : null;

    private int IndexOf(TierKind kind)
    {
        var index = 0;
        while (_tiers[index].Kind != kind)
        {
            index++;
        }

        return index;
    }

    private void Admit(int number, SimulatedBlock? parent, long time, bool lowInterest)
    {
        MakeRoom();
        if (_blocks[number] is not { } block)
        {
            block = _blocks[number] = new SimulatedBlock(number, parent);
        }
        else if (!_isHere[number])
        {
            block.Join();
        }

        _isHere[number] = true;
        _policy.Add(block, _noted.NextNumber(time), lowInterest);
        _isInRam[number] = true;
        _inRam++;
        _disk?.NoteRedundant(number, isRedundant: true);
    }

    private void MakeRoom()
    {
        while (_inRam >= _ramCapacity)
        {
            var victim = _policy.NextVictim(_judge) ?? _policy.NextVictim(_judgeOfLastResort)
                ?? throw new InvalidOperationException($"{_policy.GetType().Name} gives up none of {_inRam} blocks, of which none is in use");
            _policy.Remove(victim);
            _isInRam[victim.Number] = false;
            _inRam--;
            _disk?.NoteRedundant(victim.Number, isRedundant: false);
            if (_disk?.Holds(victim.Number) != true)
            {
                Forget(victim.Number);
            }
        }
    }

    /// <summary>
    /// A node copies what is about to leave before it leaves: who is proposed is written down first where it may be, or where nobody else may leave, since all that are
    /// not on disk are followed by some that are.
    /// </summary>
    private VictimVerdict Judge(SimulatedBlock block, bool mustWrite)
    {
        var number = block.Number;
        var isLastStop = _disk?.IsFull != false;
        if (_disk is not null && !_disk.Holds(number) && (mustWrite || !isLastStop || IsWorthIt(block)))
        {
            _disk.Write(number);
            _disk.NoteRedundant(number, isRedundant: true);
        }

        if (block.HasChildren && _disk?.Holds(number) != true)
        {
            return VictimVerdict.HasChildren;
        }

        if (_redis is not null && isLastStop && IsWanted(block))
        {
            _redis.Keep(number);
        }

        return VictimVerdict.Take;
    }

    /// <summary>Whether a disk that is full takes it.</summary>
    private bool IsWorthIt(SimulatedBlock block) =>
        _policy.ExpectedUses(block) is not { } expected || _bar.Takes(expected)
            || block.HasFollower(follower => !_isInRam[follower.Number] && _disk!.Holds(follower.Number));

    /// <summary>Whether Redis takes it.</summary>
    private bool IsWanted(SimulatedBlock block) =>
        _uses[block.Number] > 0 || _policy.ExpectedUses(block) is not { } expected || _bar.IsWorthAWrite(expected);

    /// <summary>Neither RAM nor disk has the block any more.</summary>
    private void Forget(int number)
    {
        var block = _blocks[number]!;
        if (_policy.ExpectedUses(block) is { } expected)
        {
            _bar.NoteLeft(expected);
        }

        block.Leave();
        _isHere[number] = false;
        _uses[number] = 0;
    }

    /// <summary>So many blocks, the longest unused of which leaves for another: Redis with <c>allkeys-lru</c>.</summary>
    private sealed class RecentBlocks(int capacity)
    {
        private readonly LinkedList<int> _oldestFirst = new();
        private readonly Dictionary<int, LinkedListNode<int>> _nodes = [];

        public long Written { get; private set; }

        public bool Use(int block)
        {
            if (!_nodes.TryGetValue(block, out var node))
            {
                return false;
            }

            _oldestFirst.Remove(node);
            _oldestFirst.AddLast(node);
            return true;
        }

        public void Keep(int block)
        {
            if (Use(block))
            {
                return;
            }

            if (_nodes.Count == capacity)
            {
                _nodes.Remove(_oldestFirst.First!.Value);
                _oldestFirst.RemoveFirst();
            }

            _nodes.Add(block, _oldestFirst.AddLast(block));
            Written++;
        }
    }
}
