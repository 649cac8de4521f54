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
    /// <summary>Looks in a row in which a silo has not written before it is taken for gone.</summary>
    private const int MissedWrites = 3;

    /// <summary>What each silo last wrote, and the looks since then.</summary>
    private readonly Dictionary<SiloAddress, (DateTime Written, int Looks)> _seen = [];

    /// <summary>Goes on until the silo has joined or gives up.</summary>
    public async Task BuryAsync(CancellationToken joined)
    {
        while (!joined.IsCancellationRequested)
        {
            await Task.Delay(interval, time, joined).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            try
            {
                await LookAsync().ConfigureAwait(false);
            }
#pragma warning disable CA1031 // The table has no exceptions of its own. Who cannot read it now does so a little later.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                _seen.Clear();
                LogUnread(failure);
            }
        }
    }

    private async Task LookAsync()
    {
        var start = time.GetTimestamp();
        var data = await table.ReadAll().ConfigureAwait(false);
        if (time.GetElapsedTime(start) > interval)
        {
            // Nobody could write while the table did not answer.
            _seen.Clear();
        }

        foreach (var silo in data.Members.Select(member => member.Item1).Where(IsGone).Select(entry => entry.SiloAddress).ToArray())
        {
            data = await BuryAsync(silo, data).ConfigureAwait(false);
        }
    }

    /// <summary>Declares one silo dead, unless the table says something else of it by now.</summary>
    private async Task<MembershipTableData> BuryAsync(SiloAddress silo, MembershipTableData data)
    {
        if (data.TryGet(silo) is ({ Status: SiloStatus.Active } entry, { } etag) && entry.IAmAliveTime == _seen[silo].Written)
        {
            LogGone(silo, entry.IAmAliveTime);
            entry.Status = SiloStatus.Dead;
            await table.UpdateRow(entry, etag, data.Version.Next()).ConfigureAwait(false);
        }

        return await table.ReadAll().ConfigureAwait(false);
    }

    private bool IsGone(MembershipEntry entry)
    {
        if (entry.Status != SiloStatus.Active || entry.SiloAddress.Endpoint.Equals(self))
        {
            return false;
        }

        var looks = _seen.TryGetValue(entry.SiloAddress, out var seen) && seen.Written == entry.IAmAliveTime ? seen.Looks + 1 : 0;
        _seen[entry.SiloAddress] = (entry.IAmAliveTime, looks);
        return looks >= MissedWrites;
    }

    [LoggerMessage(1, LogLevel.Warning, "The silo {Silo} last wrote its time at {Written} and is declared dead.")]
    private partial void LogGone(SiloAddress silo, DateTime written);

    [LoggerMessage(2, LogLevel.Debug, "The table of silos cannot be read yet.")]
    private partial void LogUnread(Exception failure);
}
