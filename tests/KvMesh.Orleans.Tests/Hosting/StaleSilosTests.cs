using System.Net;
using KvMesh.Orleans.Hosting;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Orleans.Tests.Hosting;

/// <summary>Whom a silo that joins declares dead. The table is one in memory that answers when the test says so; over Redis the suites of killed silos go.</summary>
public sealed class StaleSilosTests
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);
    private static readonly SiloAddress Silent = Address(1);
    private static readonly SiloAddress Living = Address(2);
    private static readonly SiloAddress Self = Address(3);

    private readonly Table _table = new();

    [Fact]
    public async Task One_that_does_not_write_is_declared_dead_and_neither_one_that_does_nor_the_one_that_joins()
    {
        _table.BeforeRead = () =>
        {
            _table.Write(Living);
            return Task.CompletedTask;
        };
        await WatchUntilAsync(() => _table.StatusOf(Silent) == SiloStatus.Dead);

        Assert.Equal((SiloStatus.Active, SiloStatus.Active), (_table.StatusOf(Living), _table.StatusOf(Self)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task While_the_table_hangs_or_fails_nobody_is_declared_dead(bool hangs)
    {
        // Every answer takes longer than silos have to write, or every other one is none.
        _table.BeforeRead = () => hangs ? Task.Delay(2 * Interval, TimeProvider.System)
            : _table.Reads % 2 == 0 ? Task.FromException(new TimeoutException("The table does not answer."))
            : Task.CompletedTask;
        await WatchUntilAsync(() => _table.Reads >= 12);

        Assert.Equal((SiloStatus.Active, SiloStatus.Active), (_table.StatusOf(Silent), _table.StatusOf(Living)));
    }

    private async Task WatchUntilAsync(Func<bool> isSeen)
    {
        using var joined = new CancellationTokenSource();
        var watching = new StaleSilos(_table, Self.Endpoint, Interval, TimeProvider.System, NullLogger<StaleSilos>.Instance).BuryAsync(joined.Token);
        await Eventually.Holds(() => Task.FromResult(isSeen()), "what the table should come to");
        await joined.CancelAsync();
        await watching;
    }

    private static SiloAddress Address(int number) => SiloAddress.New(new IPEndPoint(IPAddress.Loopback, 20_000 + number), number);

    /// <summary>Three active silos.</summary>
    private sealed class Table : IMembershipTable
    {
        private readonly Lock _lock = new();
        private readonly Dictionary<SiloAddress, MembershipEntry> _entries = new SiloAddress[] { Silent, Living, Self }
            .ToDictionary(silo => silo, silo => new MembershipEntry { SiloAddress = silo, Status = SiloStatus.Active, SiloName = $"{silo}", IAmAliveTime = DateTime.UnixEpoch });

        private int _reads;

        public Func<Task> BeforeRead { get; set; } = () => Task.CompletedTask;

        public int Reads => Volatile.Read(ref _reads);

        public SiloStatus StatusOf(SiloAddress silo)
        {
            lock (_lock)
            {
                return _entries[silo].Status;
            }
        }

        public void Write(SiloAddress silo)
        {
            lock (_lock)
            {
                _entries[silo].IAmAliveTime = _entries[silo].IAmAliveTime.AddSeconds(1);
            }
        }

        public async Task<MembershipTableData> ReadAll()
        {
            Interlocked.Increment(ref _reads);
            await BeforeRead();
            lock (_lock)
            {
                return new MembershipTableData([.. _entries.Values.Select(entry => Tuple.Create(CopyOf(entry), "etag"))], new TableVersion(1, "1"));
            }
        }

        public Task<bool> UpdateRow(MembershipEntry entry, string etag, TableVersion tableVersion)
        {
            lock (_lock)
            {
                _entries[entry.SiloAddress] = entry;
            }

            return Task.FromResult(true);
        }

        private static MembershipEntry CopyOf(MembershipEntry entry) =>
            new() { SiloAddress = entry.SiloAddress, Status = entry.Status, SiloName = entry.SiloName, IAmAliveTime = entry.IAmAliveTime };

        public Task InitializeMembershipTable(bool tryInitTableVersion) => throw new NotSupportedException();

        public Task DeleteMembershipTableEntries(string clusterId) => throw new NotSupportedException();

        public Task CleanupDefunctSiloEntries(DateTimeOffset beforeDate) => throw new NotSupportedException();

        public Task<MembershipTableData> ReadRow(SiloAddress key) => throw new NotSupportedException();

        public Task<bool> InsertRow(MembershipEntry entry, TableVersion tableVersion) => throw new NotSupportedException();

        public Task UpdateIAmAlive(MembershipEntry entry) => throw new NotSupportedException();
    }
}
