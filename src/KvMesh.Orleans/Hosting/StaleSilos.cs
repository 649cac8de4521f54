using System.Net;
using Microsoft.Extensions.Logging;

namespace KvMesh.Orleans.Hosting;

/// <summary>
/// Declares silos dead that are gone without anybody left to say so. A silo joins when every silo that the table calls active answers it, and only silos that have joined declare others
/// dead: where all died at once, or the last one, nobody could join for minutes. A silo is gone that did not write its time into the table for a while; one that was
/// only slow learns it from the table.
/// </summary>
/// <param name="table">Where silos are written down.</param>
/// <param name="self">The silo that joins.</param>
/// <param name="interval">In which silos write their time.</param>
/// <param name="time">The clock by which that is waited for; those of other machines do not count.</param>
/// <param name="logger">Hears of it.</param>
internal sealed partial class StaleSilos(IMembershipTable table, IPEndPoint self, TimeSpan interval, TimeProvider time, ILogger<StaleSilos> logger)
{
    /// <summary>So many times may a silo miss to write before it is taken for gone.</summary>
    private const int MissedWrites = 3;

    private readonly Dictionary<SiloAddress, (DateTime Written, long SeenAt)> _seen = [];

    /// <summary>Goes on until the silo has joined or gives up.</summary>
    public async Task BuryAsync(CancellationToken joined)
    {
        while (!joined.IsCancellationRequested)
        {
            await Task.Delay(interval, time, joined).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            try
            {
                while (!joined.IsCancellationRequested && await TryBuryOneAsync().ConfigureAwait(false))
                {
                }
            }
#pragma warning disable CA1031 // The table has no exceptions of its own. Who cannot read it now does so a little later.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                LogUnread(failure);
            }
        }
    }

    private async Task<bool> TryBuryOneAsync()
    {
        var data = await table.ReadAll().ConfigureAwait(false);
        foreach (var (entry, etag) in data.Members)
        {
            if (entry.Status == SiloStatus.Active && !entry.SiloAddress.Endpoint.Equals(self) && IsGone(entry))
            {
                LogGone(entry.SiloAddress, entry.IAmAliveTime);
                entry.Status = SiloStatus.Dead;
                return await table.UpdateRow(entry, etag, data.Version.Next()).ConfigureAwait(false);
            }
        }

        return false;
    }

    private bool IsGone(MembershipEntry entry)
    {
        if (!_seen.TryGetValue(entry.SiloAddress, out var seen) || seen.Written != entry.IAmAliveTime)
        {
            _seen[entry.SiloAddress] = (entry.IAmAliveTime, time.GetTimestamp());
            return false;
        }

        return time.GetElapsedTime(seen.SeenAt) > MissedWrites * interval;
    }

    [LoggerMessage(1, LogLevel.Warning, "The silo {Silo} last wrote its time at {Written} and is declared dead.")]
    private partial void LogGone(SiloAddress silo, DateTime written);

    [LoggerMessage(2, LogLevel.Debug, "The table of silos cannot be read yet.")]
    private partial void LogUnread(Exception failure);
}
