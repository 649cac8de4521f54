using System.Diagnostics.Metrics;

namespace KvMesh.Server.Telemetry;

/// <summary>Instruments over the same items: each gives one measurement an item, under the item's name.</summary>
/// <param name="meter">Where the instruments are.</param>
/// <param name="items">The items now.</param>
/// <param name="tagsOf">What tells an item from the others.</param>
internal sealed class ObservedItems<T>(Meter meter, Func<IReadOnlyList<T>> items, Func<T, KeyValuePair<string, object?>[]> tagsOf)
{
    /// <param name="meter">Where the instruments are.</param>
    /// <param name="items">The items now.</param>
    /// <param name="tag">What the name of an item is called.</param>
    /// <param name="nameOf">Name of an item.</param>
    public ObservedItems(Meter meter, Func<IReadOnlyList<T>> items, string tag, Func<T, string> nameOf)
        : this(meter, items, item => [new(tag, nameOf(item))])
    {
    }

    /// <summary>One item without a name.</summary>
    public static ObservedItems<T> One(Meter meter, Func<T> item) => new(meter, () => [item()], static _ => []);

    public ObservedItems<T> Gauge(string name, string unit, string description, Func<T, long> value)
    {
        meter.CreateObservableGauge(name, () => Each(value), unit, description);
        return this;
    }

    public ObservedItems<T> Ratio(string name, string description, Func<T, double> value)
    {
        meter.CreateObservableGauge(name, () => Each(value), "1", description);
        return this;
    }

    public ObservedItems<T> Counter(string name, string unit, string description, Func<T, long> value)
    {
        meter.CreateObservableCounter(name, () => Each(value), unit, description);
        return this;
    }

    public ObservedItems<T> Seconds(string name, string description, Func<T, TimeSpan> value)
    {
        meter.CreateObservableCounter(name, () => Each(item => value(item).TotalSeconds), "s", description);
        return this;
    }

    private IEnumerable<Measurement<TValue>> Each<TValue>(Func<T, TValue> value)
        where TValue : struct => items().Select(item => new Measurement<TValue>(value(item), tagsOf(item)));
}
